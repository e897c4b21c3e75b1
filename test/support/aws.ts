// What the deployment's scripts ask of AWS, spoken as AWS documents it, on state that changes as it does there:
// Lambda's versions and aliases (REST, JSON), CodeDeploy's deployments (JSON 1.1).
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd } from './cleanup.ts'

type Alias = { version: string; weights: Record<string, number>; revision: string }
type Deployment = { group: string; status: string; alias: Alias; from: string; pollsLeft: number }

export type Aws = {
  /** For the environment of a process that uses the SDK. */
  env: Record<string, string>
  functions: Map<string, { versions: number[]; aliases: Map<string, Alias> }>
  /** By id. */
  deployments: Map<string, Deployment>
  /** Publishes versions 1 to `count` of a function, with its alias `live` at the last. */
  addFunction(name: string, count: number): Alias
  /** CodeDeploy begins to shift a function's alias to its newest version, and stays at a tenth. */
  shift(name: string): string
  /** A deployment that is stopped leaves the alias as it is. */
  leavesShifted: boolean
  /** What was asked, in order: `GET /2015-03-31/…`, `StopDeployment`. */
  calls: string[]
  /** Runs before each call is carried out; what it returns is answered instead. */
  before: ((call: string) => { status: number; type: string; message: string } | undefined) | undefined
}

export async function startAws(): Promise<Aws> {
  const aws: Aws = {
    env: {},
    functions: new Map(),
    deployments: new Map(),
    calls: [],
    leavesShifted: false,
    before: undefined,
    addFunction: (name, count) => {
      const alias = { version: String(count), weights: {}, revision: randomUUID() }
      const versions = Array.from({ length: count }, (_, index) => index + 1)
      aws.functions.set(name, { versions, aliases: new Map([['live', alias]]) })
      return alias
    },
    shift: (name) => {
      const found = aws.functions.get(name)
      const alias = found?.aliases.get('live')
      if (!found || !alias) throw new Error(`no function ${name}`)
      const id = `d-${randomUUID().slice(0, 9).toUpperCase()}`
      const next = found.versions.length + 1
      found.versions.push(next)
      aws.deployments.set(id, { group: name, status: 'InProgress', alias, from: alias.version, pollsLeft: 1 })
      change(alias, alias.version, { [next]: 0.1 })
      return id
    },
  }
  const server = createServer((request, response) => {
    void answer(aws, request)
      .catch((error: unknown) =>
        error instanceof Fault ? error : new Fault(500, 'InternalFailure', String(error)),
      )
      .then((answered) => {
        const fault = answered instanceof Fault ? answered : undefined
        response.writeHead(fault?.status ?? 200, {
          'content-type': 'application/json',
          ...(fault && { 'x-amzn-errortype': fault.type }),
        })
        response.end(JSON.stringify(fault ? { __type: fault.type, message: fault.message } : answered))
      })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  atEnd(async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  })
  aws.env = {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  }
  return aws
}

class Fault extends Error {
  readonly status: number
  readonly type: string
  constructor(status: number, type: string, message: string) {
    super(message)
    this.status = status
    this.type = type
  }
}

async function answer(aws: Aws, request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const body = text === '' ? {} : JSON.parse(text)
  const target = request.headers['x-amz-target']
  const call =
    typeof target === 'string'
      ? target.replace(/^CodeDeploy_20141006\./, '')
      : `${request.method} ${request.url}`
  aws.calls.push(call)
  const service = target === undefined ? 'lambda' : 'codedeploy'
  // `Credential=<key>/<date>/<region>/<service>/aws4_request`: each service refuses another's signature.
  if (!request.headers.authorization?.includes(`/eu-west-1/${service}/aws4_request`))
    throw new Fault(403, 'InvalidSignatureException', 'Credential should be scoped to correct service')
  const instead = aws.before?.(call)
  if (instead) throw new Fault(instead.status, instead.type, instead.message)
  return service === 'lambda' ? lambda(aws, request, body) : codeDeploy(aws, call, body)
}

function lambda(aws: Aws, request: IncomingMessage, body: Record<string, unknown>): unknown {
  const url = new URL(request.url ?? '', 'http://lambda')
  const [, version, functions, name = '', kind, aliasName = ''] = url.pathname
    .split('/')
    .map(decodeURIComponent)
  const found = aws.functions.get(name)
  if (version !== '2015-03-31' || functions !== 'functions')
    throw new Fault(404, 'UnknownOperationException', '')
  if (!found) throw new Fault(404, 'ResourceNotFoundException', `Function not found: ${name}`)
  if (kind === 'versions' && request.method === 'GET') {
    const all = ['$LATEST', ...found.versions.map(String)]
    const from = Number(url.searchParams.get('Marker') ?? 0)
    // Pages are at most fifty long, whatever is asked for.
    const until = from + Math.min(Number(url.searchParams.get('MaxItems') ?? 50), 50)
    return {
      Versions: all.slice(from, until).map((Version) => ({ FunctionName: name, Version })),
      NextMarker: until < all.length ? String(until) : null,
    }
  }
  const alias = kind === 'aliases' ? found.aliases.get(aliasName) : undefined
  if (!alias) throw new Fault(404, 'ResourceNotFoundException', `Cannot find alias: ${aliasName}`)
  if (request.method === 'PUT') {
    const { FunctionVersion, RoutingConfig, RevisionId } = body as {
      FunctionVersion?: string
      RoutingConfig?: { AdditionalVersionWeights?: Record<string, number> }
      RevisionId?: string
    }
    if (RevisionId !== undefined && RevisionId !== alias.revision)
      throw new Fault(412, 'PreconditionFailedException', 'The Revision Id provided does not match')
    const to = FunctionVersion ?? alias.version
    if (!found.versions.includes(Number(to)))
      throw new Fault(404, 'ResourceNotFoundException', `Function not found: ${name}:${to}`)
    // What is not named stays as it is.
    change(alias, to, RoutingConfig?.AdditionalVersionWeights ?? alias.weights)
  }
  return {
    AliasArn: `arn:aws:lambda:eu-west-1:123456789012:function:${name}:${aliasName}`,
    Name: aliasName,
    FunctionVersion: alias.version,
    RevisionId: alias.revision,
    ...(Object.keys(alias.weights).length > 0 && {
      RoutingConfig: { AdditionalVersionWeights: alias.weights },
    }),
  }
}

function change(alias: Alias, version: string, weights: Record<string, number>): void {
  Object.assign(alias, { version, weights, revision: randomUUID() })
}

function codeDeploy(aws: Aws, call: string, body: Record<string, unknown>): unknown {
  if (call === 'ListDeployments') {
    const { applicationName, deploymentGroupName, includeOnlyStatuses } = body as {
      applicationName: string
      deploymentGroupName: string
      includeOnlyStatuses: string[]
    }
    if (!aws.functions.has(applicationName))
      throw new Fault(
        400,
        'ApplicationDoesNotExistException',
        `No application found for name: ${applicationName}`,
      )
    const deployments: string[] = []
    for (const [id, deployment] of aws.deployments) {
      if (deployment.status === 'Stopping' && deployment.pollsLeft-- === 0) {
        deployment.status = 'Stopped'
        if (!aws.leavesShifted) change(deployment.alias, deployment.from, {})
      }
      const status = deployment.status === 'Stopping' ? 'InProgress' : deployment.status
      if (deployment.group === deploymentGroupName && includeOnlyStatuses.includes(status))
        deployments.push(id)
    }
    return { deployments }
  }
  if (call === 'StopDeployment') {
    const deployment = aws.deployments.get(String(body.deploymentId))
    if (!deployment) throw new Fault(400, 'DeploymentDoesNotExistException', '')
    if (deployment.status !== 'InProgress')
      throw new Fault(400, 'DeploymentAlreadyCompletedException', 'The deployment has already completed.')
    // Without the word to roll back, what has been shifted stays.
    if (body.autoRollbackEnabled === true) deployment.status = 'Stopping'
    else deployment.status = 'Stopped'
    return { status: 'Pending' }
  }
  throw new Fault(400, 'UnknownOperationException', call)
}
