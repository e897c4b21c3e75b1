// The alarms and the dashboard, and how an alarm reaches a person.
import { Match } from 'aws-cdk-lib/assertions'
import { expect, test } from 'vitest'
import { metrics, namespace } from '../../src/connection/metrics.ts'
import type { StageTemplates } from './stage-templates.ts'

export function alarmTests({ name, service, properties }: StageTemplates): void {
  test('CloudWatch, of this account alone, may publish to the topic of the alarms', () => {
    service.hasResourceProperties('AWS::SNS::TopicPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Effect: 'Allow',
            Action: 'sns:Publish',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
          }),
        ]),
      },
    })
  })

  test('alarms watch over all that may go wrong, and tell somebody', () => {
    const alarms = properties('AWS::CloudWatch::Alarm')
    expect(alarms.map(({ AlarmName }) => String(AlarmName).split('-').at(-1)).sort()).toEqual([
      'BlocksLate',
      'CacheDown',
      'CacheDrift',
      'Crashes',
      'DatabaseConnections',
      'DatabaseStorage',
      'DeadLetters',
      'GatewayErrors',
      'Latency',
      'OutboxLag',
      'Refused',
      'RevalidationMissing',
      'ServerErrors',
      'SignInsRefused',
      'SignInsSlow',
      'Throttles',
    ])
    for (const { AlarmActions } of alarms)
      expect(AlarmActions).toEqual([{ Ref: expect.stringMatching(/^WatchAlarms/) }])
    // CloudWatch sends nothing to a topic whose key it may not use.
    service.hasResourceProperties('AWS::KMS::Key', {
      KeyPolicy: {
        Statement: Match.arrayWith([
          Match.objectLike({ Principal: { Service: 'cloudwatch.amazonaws.com' } }),
        ]),
      },
    })
    // What does not come in at all is an alarm too where something must.
    for (const alarm of ['RevalidationMissing', 'OutboxLag'])
      service.hasResourceProperties('AWS::CloudWatch::Alarm', {
        AlarmName: `user-directory-${name}-${alarm}`,
        TreatMissingData: 'breaching',
      })
  })

  test('alarms and dashboard name no metric of ours that the catalogue does not have', () => {
    const known = Object.values(metrics).flatMap(({ dimensions, units }) =>
      Object.keys(units).map((metric) => JSON.stringify([metric, Object.entries(dimensions)])),
    )
    type Named = { Namespace?: string; MetricName?: string; Dimensions?: { Name: string; Value: string }[] }
    const ofAlarms = properties('AWS::CloudWatch::Alarm')
      .flatMap((alarm) => [
        alarm as Named,
        ...((alarm.Metrics ?? []) as { MetricStat?: { Metric: Named } }[]).map(
          ({ MetricStat }) => MetricStat?.Metric ?? {},
        ),
      ])
      .filter(({ Namespace }) => Namespace === namespace)
      .map(({ MetricName, Dimensions = [] }) =>
        JSON.stringify([MetricName, Dimensions.map(({ Name, Value }) => [Name, Value])]),
      )
    const body = JSON.stringify(properties('AWS::CloudWatch::Dashboard')).replaceAll('\\', '')
    const ofDashboard = [...body.matchAll(/\["UserDirectory","(\w+)","(\w+)","([\w-]+)"/g)].map(
      ([, metric, dimension, value]) => JSON.stringify([metric, [[dimension, value]]]),
    )
    expect(ofAlarms.length).toBeGreaterThan(8)
    expect(ofDashboard.length).toBeGreaterThan(12)
    for (const named of [...ofAlarms, ...ofDashboard]) expect(known).toContain(named)
  })
}
