// A server with the AWS APIs that a restore uses, and with state that changes like AWS's: RDS and IAM (query,
// XML), and Lambda (REST).
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd } from './cleanup.ts'

type Value = string | number | boolean | Date | Value[] | { [name: string]: Value | undefined }
type Instance = { [name: string]: Value | undefined }

export type Rds = {
  env: Record<string, string>
  /** Instances by identifier. */
  instances: Map<string, Instance>
  /** Absent for a stage without a proxy. */
  proxy: { RoleArn: string; Auth: { [name: string]: string }[]; targets: Set<string> } | undefined
  /** Added policies by role. */
  policies: Map<string, string>
  /** The requested changes in order. */
  changes: string[]
  /** The number of changes before the next one fails without an effect. */
  changesLeft: number
}

// The element names of lists that do not use `member`.
const elements: Record<string, string> = {
  DBInstances: 'DBInstance',
  TagList: 'Tag',
  VpcSecurityGroups: 'VpcSecurityGroupMembership',
  DBParameterGroups: 'DBParameterGroup',
}

class Fault extends Error {}

export async function startRds(): Promise<Rds> {
  const rds: Rds = {
    env: {},
    instances: new Map(),
    proxy: undefined,
    policies: new Map(),
    changes: [],
    changesLeft: Infinity,
  }
  const server = createServer((request, response) => {
    void answer(rds, request).then(
      ({ status, text }) => response.writeHead(status).end(text),
      (error: Error) => {
        const known = error instanceof Fault
        response.writeHead(known ? 404 : 400, { 'content-type': 'text/xml' })
        const code = known ? error.message : 'InvalidParameterValue'
        response.end(
          `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${error.message}</Message></Error></ErrorResponse>`,
        )
      },
    )
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  atEnd(async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  })
  rds.env = {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  }
  return rds
}

async function answer(rds: Rds, request: IncomingMessage): Promise<{ status: number; text: string }> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const url = new URL(request.url ?? '', 'http://aws')
  const [, , , name = '', what] = url.pathname.split('/')
  if (what === 'configuration')
    return { status: 200, text: JSON.stringify({ Role: `arn:aws:iam::123456789012:role/${name}` }) }
  if (what === 'invocations') {
    change(rds, `Invoke ${name}:${url.searchParams.get('Qualifier')} ${Buffer.concat(chunks)}`)
    return { status: request.headers['x-amz-invocation-type'] === 'Event' ? 202 : 200, text: '' }
  }
  const form = new URLSearchParams(Buffer.concat(chunks).toString())
  const action = form.get('Action') ?? ''
  if (!action.startsWith('Describe')) change(rds, action)
  const work = actions[action]
  if (!work) throw new Error(`unknown action ${action}`)
  const result = xml(`${action}Result`, work(rds, form))
  return { status: 200, text: `<${action}Response>${result}</${action}Response>` }
}

function change(rds: Rds, what: string): void {
  if (rds.changesLeft-- <= 0) throw new Error('the connection was lost')
  rds.changes.push(what)
}

function find(rds: Rds, id: string | null): Instance {
  const found = rds.instances.get(id ?? '')
  if (!found) throw new Fault('DBInstanceNotFound')
  // A change is complete after one poll.
  const seen = { ...found }
  found.DBInstanceStatus = 'available'
  return seen
}

const list = (form: URLSearchParams, start: string) =>
  [...form].flatMap(([name, value]) => (name.startsWith(start) ? [value] : []))

const actions: Record<string, (rds: Rds, form: URLSearchParams) => Value> = {
  DescribeDBInstances: (rds, form) => ({ DBInstances: [find(rds, form.get('DBInstanceIdentifier'))] }),
  DescribeDBProxies: ({ proxy }) => {
    if (!proxy) throw new Fault('DBProxyNotFoundFault')
    return { DBProxies: [{ RoleArn: proxy.RoleArn, Auth: proxy.Auth }] }
  },
  DescribeDBProxyTargets: ({ proxy }) => ({
    Targets: [...(proxy?.targets ?? [])].map((id) => ({
      RdsResourceId: id,
      TargetHealth: { State: 'AVAILABLE' },
    })),
  }),
  RestoreDBInstanceToPointInTime: (rds, form) => {
    const source = find(rds, form.get('SourceDBInstanceIdentifier'))
    const id = form.get('TargetDBInstanceIdentifier') ?? ''
    const [keys, values] = ['Key', 'Value'].map((part) =>
      [...form].flatMap(([name, value]) => (new RegExp(`^Tags\\..*\\.${part}$`).test(name) ? [value] : [])),
    )
    rds.instances.set(id, {
      DBInstanceIdentifier: id,
      DBInstanceArn: `arn:aws:rds:eu-west-1:123456789012:db:${id}`,
      DbiResourceId: 'db-NEW',
      DBInstanceStatus: 'creating',
      RestoreTime: form.get('RestoreTime') ?? '',
      MultiAZ: form.get('MultiAZ') ?? '',
      DeletionProtection: form.get('DeletionProtection') ?? '',
      DBParameterGroups: [{ DBParameterGroupName: form.get('DBParameterGroupName') ?? '' }],
      VpcSecurityGroups: list(form, 'VpcSecurityGroupIds').map((VpcSecurityGroupId) => ({
        VpcSecurityGroupId,
      })),
      EnabledCloudwatchLogsExports: list(form, 'EnableCloudwatchLogsExports'),
      BackupRetentionPeriod: 1,
      ...(form.get('ManageMasterUserPassword') === 'true' && {
        MasterUserSecret: { SecretArn: 'arn:new-secret', SecretStatus: 'active' },
      }),
      TagList: (keys ?? []).map((Key, index) => ({ Key, Value: values?.[index] ?? '' })),
    })
    return { source: String(source.DBInstanceIdentifier) }
  },
  ModifyDBInstance: (rds, form) => {
    const id = form.get('DBInstanceIdentifier') ?? ''
    find(rds, id)
    const found = rds.instances.get(id) ?? {}
    const days = form.get('BackupRetentionPeriod')
    if (days) found.BackupRetentionPeriod = days
    const to = form.get('NewDBInstanceIdentifier')
    if (to) {
      if (rds.instances.has(to)) throw new Error(`${to} exists already`)
      rds.instances.delete(id)
      rds.instances.set(to, { ...found, DBInstanceIdentifier: to, DBInstanceStatus: 'renaming' })
    }
    return {}
  },
  DeregisterDBProxyTargets: ({ proxy }, form) => {
    for (const id of list(form, 'DBInstanceIdentifiers')) proxy?.targets.delete(id)
    return {}
  },
  RegisterDBProxyTargets: (rds, form) => {
    for (const id of list(form, 'DBInstanceIdentifiers')) {
      find(rds, id)
      rds.proxy?.targets.add(id)
    }
    return {}
  },
  ModifyDBProxy: ({ proxy }, form) => {
    if (proxy)
      proxy.Auth = [
        {
          SecretArn: form.get('Auth.member.1.SecretArn') ?? '',
          IAMAuth: form.get('Auth.member.1.IAMAuth') ?? '',
        },
      ]
    return {}
  },
  PutRolePolicy: (rds, form) => {
    rds.policies.set(form.get('RoleName') ?? '', form.get('PolicyDocument') ?? '')
    return {}
  },
}

function xml(name: string, value: Value | undefined): string {
  if (value === undefined) return ''
  if (Array.isArray(value))
    return `<${name}>${value.map((each) => xml(elements[name] ?? 'member', each)).join('')}</${name}>`
  if (value instanceof Date) return `<${name}>${value.toISOString()}</${name}>`
  if (typeof value !== 'object') return `<${name}>${value}</${name}>`
  return `<${name}>${Object.entries(value)
    .map(([key, each]) => xml(key, each))
    .join('')}</${name}>`
}
