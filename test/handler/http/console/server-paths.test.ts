// The list of paths by which CloudFront decides, against the routes.
import { expect, it } from 'vitest'
import { consoleRoutes } from '../../../../src/handler/http/console/routes.ts'
import { serverPaths } from '../../../../src/handler/http/console/server-paths.ts'

it('the paths that a server answers are the routes and the API', () => {
  const routes = consoleRoutes({} as Parameters<typeof consoleRoutes>[0]).map(({ path }) => path)
  expect(routes.length).toBeGreaterThan(0)
  expect(new Set(serverPaths)).toEqual(new Set(['/console/api/*', ...routes]))
})
