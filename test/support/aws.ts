// A server with the AWS APIs that the deployment scripts use, and with state that changes like AWS's. It has Lambda's
// versions and aliases, CodeDeploy, CloudFormation, and Cognito's clients and token endpoint.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd } from './cleanup.ts'

type Alias = { version: string; weights: Record<string, number>; revision: string }
type Deployment = { group: string; status: string; alias: Alias; from: string; pollsLeft: number }

export type Aws = {
  /** The environment for a process that uses the SDK. */
  env: Record<string, string>
  functions: Map<string, { versions: number[]; aliases: Map<string, Alias> }>
  /** Deployments by id. */
  deployments: Map<string, Deployment>
  /** Publishes versions 1 to `count` of a function, with its alias `live` at the last. */
  addFunction(name: string, count: number): Alias
  /** Outputs by stack. */
  stacks: Map<string, Record<string, string>>
  /** States by stack, if other than UPDATE_COMPLETE without protection. */
  stackStates: Map<string, { status: string; isProtected: boolean }>
  /** Lambda's concurrency: the account's quota, and the reservations by function. */
  concurrency: { quota: number; reserved: Map<string, number> }
  /** The pool's machine client. `issue` creates its tokens. */
  machine: { poolId: string; clientId: string; secret: string; issue(scope: string): Promise<string> }
  /** Starts a deployment that shifts a tenth of the traffic to a function's newest version. */
  shift(name: string): string
  /** A stopped deployment does not roll the alias back. */
  leavesShifted: boolean
  /** The calls in order, such as `GET /2015-03-31/…` or `StopDeployment`. */
  calls: string[]
  /** Runs before each call; if it returns an answer, that is sent instead. */
  before: ((call: string) => { status: number; type: string; message: string } | undefined) | undefined
}

export async function startAws(): Promise<Aws> {
  const aws: Aws = {
    env: {},
    functions: new Map(),
    deployments: new Map(),
    stacks: new Map(),
    stackStates: new Map(),
    concurrency: { quota: 1_000, reserved: new Map() },
    machine: {
      poolId: 'eu-west-1_AbCdEfGhI',
      clientId: 'machine',
      secret: randomUUID(),
      issue: () => Promise.reject(new Error('the test has not said which tokens there are')),
    },
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
        const isXml = typeof answered === 'string' || fault?.inXml
        response.writeHead(fault?.status ?? 200, {
          'content-type': isXml ? 'text/xml' : 'application/json',
          ...(fault && { 'x-amzn-errortype': fault.type }),
        })
        if (typeof answered === 'string') response.end(answered)
        else if (fault?.inXml) response.end(xmlFault(fault))
        else response.end(JSON.stringify(fault ? { __type: fault.type, message: fault.message } : answered))
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
  readonly inXml: boolean
  constructor(status: number, type: string, message: string, inXml = false) {
    super(message)
    this.status = status
    this.type = type
    this.inXml = inXml
  }
}

function xmlFault({ type, message }: Fault): string {
  return `<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type><Code>${type}</Code><Message>${message}</Message></Error></ErrorResponse>`
}

async function answer(aws: Aws, request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  if (request.url === '/oauth2/token') return token(aws, request, new URLSearchParams(text))
  const { service, call } = readCall(request, text)
  aws.calls.push(call)
  // `Credential=<key>/<date>/<region>/<service>/aws4_request`: each service rejects another's signature.
  if (!request.headers.authorization?.includes(`/eu-west-1/${service}/aws4_request`))
    throw new Fault(403, 'InvalidSignatureException', 'Credential should be scoped to correct service')
  const instead = aws.before?.(call)
  if (instead) throw new Fault(instead.status, instead.type, instead.message, service === 'cloudformation')
  if (service === 'cloudformation') return describeStack(aws, new URLSearchParams(text))
  const body: Record<string, unknown> = text === '' ? {} : JSON.parse(text)
  if (service === 'codedeploy') return codeDeploy(aws, call, body)
  return service === 'lambda' ? lambda(aws, request, body) : describeClient(aws, body)
}

function readCall(request: IncomingMessage, text: string): { service: string; call: string } {
  const services: Record<string, string> = {
    CodeDeploy_20141006: 'codedeploy',
    AWSCognitoIdentityProviderService: 'cognito-idp',
  }
  const [prefix = '', call] = String(request.headers['x-amz-target'] ?? '').split('.')
  if (call) return { service: services[prefix] ?? prefix, call }
  if (request.method === 'POST' && request.url === '/')
    return { service: 'cloudformation', call: new URLSearchParams(text).get('Action') ?? '' }
  return { service: 'lambda', call: `${request.method} ${request.url}` }
}

function describeStack(aws: Aws, form: URLSearchParams): string {
  const name = form.get('StackName') ?? ''
  const outputs = aws.stacks.get(name)
  if (form.get('Action') !== 'DescribeStacks' || !outputs)
    throw new Fault(400, 'ValidationError', `Stack with id ${name} does not exist`, true)
  const members = Object.entries(outputs)
    .map(
      ([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`,
    )
    .join('')
  const { status, isProtected } = aws.stackStates.get(name) ?? {
    status: 'UPDATE_COMPLETE',
    isProtected: false,
  }
  return `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member><StackName>${name}</StackName><StackStatus>${status}</StackStatus><EnableTerminationProtection>${isProtected}</EnableTerminationProtection><Outputs>${members}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`
}

function describeClient({ machine }: Aws, body: Record<string, unknown>): unknown {
  if (body.UserPoolId !== machine.poolId || body.ClientId !== machine.clientId)
    throw new Fault(400, 'ResourceNotFoundException', `User pool client ${body.ClientId} does not exist.`)
  return { UserPoolClient: { ...body, ClientSecret: machine.secret } }
}

/** RFC 6749, section 4.4, like Cognito's token endpoint. */
async function token({ machine }: Aws, request: IncomingMessage, form: URLSearchParams): Promise<unknown> {
  const basic = Buffer.from(`${machine.clientId}:${machine.secret}`).toString('base64')
  if (request.headers.authorization !== `Basic ${basic}`) throw new Fault(400, 'invalid_client', '')
  if (form.get('grant_type') !== 'client_credentials') throw new Fault(400, 'unsupported_grant_type', '')
  return { access_token: await machine.issue(form.get('scope') ?? ''), expires_in: 900, token_type: 'Bearer' }
}

function lambda(aws: Aws, request: IncomingMessage, body: Record<string, unknown>): unknown {
  const url = new URL(request.url ?? '', 'http://lambda')
  const [, version, functions, name = '', kind, aliasName = ''] = url.pathname
    .split('/')
    .map(decodeURIComponent)
  const found = aws.functions.get(name)
  const { quota, reserved } = aws.concurrency
  if (url.pathname === '/2016-08-19/account-settings') {
    const taken = [...reserved.values()].reduce((sum, each) => sum + each, 0)
    return {
      AccountLimit: { ConcurrentExecutions: quota, UnreservedConcurrentExecutions: quota - taken },
    }
  }
  if (version === '2019-09-30' && kind === 'concurrency') {
    if (!reserved.has(name)) throw new Fault(404, 'ResourceNotFoundException', `Function not found: ${name}`)
    return { ReservedConcurrentExecutions: reserved.get(name) }
  }
  if (version !== '2015-03-31' || functions !== 'functions')
    throw new Fault(404, 'UnknownOperationException', '')
  if (!found) throw new Fault(404, 'ResourceNotFoundException', `Function not found: ${name}`)
  if (kind === 'versions' && request.method === 'GET') {
    const all = ['$LATEST', ...found.versions.map(String)]
    const from = Number(url.searchParams.get('Marker') ?? 0)
    // Pages have at most fifty items, whatever the request says.
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
    // Missing fields stay unchanged.
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
    // Without a rollback the shifted traffic stays.
    if (body.autoRollbackEnabled === true) deployment.status = 'Stopping'
    else deployment.status = 'Stopped'
    return { status: 'Pending' }
  }
  throw new Fault(400, 'UnknownOperationException', call)
}
