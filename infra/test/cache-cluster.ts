// A cache in cluster mode: its shards, the functions' address for it, its permissions and its alarms.
import { Match } from 'aws-cdk-lib/assertions'
import { expect, test } from 'vitest'
import { clusterCacheAccess } from '../cache-access.ts'
import type { StageTemplates } from './stage-templates.ts'

export function cacheClusterTests({ stage, data, service, ofType, properties }: StageTemplates): void {
  const [[cluster, { Properties: group = {} }] = ['', {}]] = ofType('AWS::ElastiCache::ReplicationGroup')
  const alarms = properties('AWS::CloudWatch::Alarm')

  test('the cache is a cluster of these shards, each with its replicas in other zones', () => {
    expect(ofType('AWS::ElastiCache::ReplicationGroup')).toHaveLength(1)
    expect(group).toMatchObject({
      ClusterMode: 'enabled',
      NumNodeGroups: stage.cacheShards,
      ReplicasPerNodeGroup: stage.cache.replicas,
      AutomaticFailoverEnabled: true,
      MultiAZEnabled: true,
      TransitEncryptionEnabled: true,
      TransitEncryptionMode: 'required',
      AtRestEncryptionEnabled: true,
      UserGroupIds: expect.anything(),
    })
    expect(group).not.toHaveProperty('NumCacheClusters')
    const [[parameters] = ['']] = ofType('AWS::ElastiCache::ParameterGroup')
    expect(group.CacheParameterGroupName).toEqual({ Ref: parameters })
    data.hasResourceProperties('AWS::ElastiCache::ParameterGroup', {
      CacheParameterGroupFamily: 'valkey8',
      Properties: { 'cluster-enabled': 'yes', 'cluster-require-full-coverage': 'no' },
    })
  })

  test('a change of the number of shards moves slots instead of replacing the cluster', () => {
    data.hasResource('AWS::ElastiCache::ReplicationGroup', { UpdatePolicy: { UseOnlineResharding: true } })
  })

  test('functions connect to any node over TLS, logged in with IAM, and know that it is a cluster', () => {
    const outputs = data.toJSON().Outputs as Record<string, { Value: unknown; Export?: { Name: string } }>
    const exportOf = (value: object) =>
      Object.values(outputs).find(
        ({ Value, Export }) => Export && JSON.stringify(Value) === JSON.stringify(value),
      )?.Export?.Name
    const host = exportOf({ 'Fn::GetAtt': [cluster, 'ConfigurationEndPoint.Address'] })
    const id = exportOf({ Ref: cluster })
    const urls = properties('AWS::Lambda::Function').flatMap(
      ({ Environment }) =>
        (Environment as { Variables: { REDIS_URL?: unknown } } | undefined)?.Variables.REDIS_URL ?? [],
    )
    expect(urls).toHaveLength(6)
    for (const url of urls)
      expect(url).toEqual({
        'Fn::Join': [
          '',
          [
            'rediss://user-directory-dev@',
            { 'Fn::ImportValue': host },
            ':6379?iam_cache=',
            { 'Fn::ImportValue': id },
            '&cluster=true',
          ],
        ],
      })
    service.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          {
            Effect: 'Allow',
            Action: 'elasticache:Connect',
            Resource: Match.arrayWith([
              {
                'Fn::Join': [
                  '',
                  Match.arrayWith([Match.stringLikeRegexp(':replicationgroup:$'), { 'Fn::ImportValue': id }]),
                ],
              },
            ]),
          },
        ]),
      },
    })
    data.allResourcesProperties('AWS::ElastiCache::User', {
      AuthenticationMode: { Type: 'iam' },
      AccessString: clusterCacheAccess,
    })
  })

  test('each shard has the alarms of a single cache, over its own nodes, with the same runbooks', () => {
    const named = (id: string) =>
      alarms.filter(({ AlarmName }) => String(AlarmName).startsWith(`user-directory-dev-${id}`))
    for (const [id, metric] of Object.entries({
      CacheMemory: 'DatabaseMemoryUsagePercentage',
      CacheEvictions: 'Evictions',
    })) {
      expect(named(id).map(({ AlarmName }) => AlarmName)).toEqual(
        [1, 2, 3].map((shard) => `user-directory-dev-${id}${shard}`),
      )
      for (const [at, alarm] of named(id).entries()) {
        expect(alarm.AlarmDescription).toContain(`docs/runbooks.md#${id.toLowerCase()}`)
        const text = JSON.stringify(alarm)
        expect(text).toContain(`"MetricName":"${metric}"`)
        expect([...text.matchAll(/"-(\d{4}-\d{3})"/g)].map(([, node]) => node)).toEqual([
          `000${at + 1}-001`,
          `000${at + 1}-002`,
        ])
      }
    }
  })

  test('the dashboard shows each shard', () => {
    const body = JSON.stringify(properties('AWS::CloudWatch::Dashboard'))
    for (const shard of [1, 2, 3])
      for (const metric of ['DatabaseMemoryUsagePercentage', 'Evictions'])
        expect(body).toContain(`${metric}, shard ${shard}`)
  })
}
