// The paths of the console that a server answers. All others are files of the build, which CloudFront serves on AWS.

/** Parameters are in braces; a star stands for the rest of a path. */
export const serverPaths = [
  '/console/api/*',
  '/console/sign-in',
  '/console/callback',
  '/console/session',
  '/console/sign-out',
  '/console/health',
  '/console/session-end/{user}',
]
