// A CloudFront function before each request of the console's files. It serves the app's page at every address that is no
// asset, as the Node server does.

/** @param {{ request: { uri: string } }} event */
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by this name.
function handler({ request }) {
  if (request.uri === '/console') return { statusCode: 302, headers: { location: { value: '/console/' } } }
  if (!request.uri.startsWith('/console/assets/')) request.uri = '/console/index.html'
  return request
}
