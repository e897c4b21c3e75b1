// A CloudFront function before each request of the API. It names the client's address to the firewall, and leads browsers
// from the root to the console.

/** @param {{ viewer: { ip: string }, request: { uri: string, headers: Record<string, { value: string }> } }} event */
// biome-ignore lint/correctness/noUnusedVariables: CloudFront calls it by this name.
function handler({ viewer, request }) {
  if (request.uri === '/') return { statusCode: 302, headers: { location: { value: '/console/' } } }
  request.headers['x-viewer-address'] = { value: viewer.ip }
  return request
}
