// The alarms and the dashboard, and how an alarm reaches a person.
import { readFileSync } from 'node:fs'
import { Match } from 'aws-cdk-lib/assertions'
import { expect, test } from 'vitest'
import { metrics, namespace } from '../../src/platform/metrics.ts'
import type { StageTemplates } from './stage-templates.ts'

export function alarmTests({ name, stage, service, ofType, properties }: StageTemplates): void {
  test('every function counts its metrics for its stage', () => {
    for (const { FunctionName, Environment } of properties('AWS::Lambda::Function'))
      if (FunctionName) expect(Environment).toMatchObject({ Variables: { STAGE: name } })
  })

  if (!stage.hasMonitoring) return

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

  const alarms = properties('AWS::CloudWatch::Alarm')
  const idOf = ({ AlarmName }: Record<string, unknown>) => String(AlarmName).split('-').at(-1) ?? ''

  test('every alarm notifies the topic, whose key CloudWatch may use', () => {
    expect(alarms.length).toBeGreaterThan(20)
    for (const { AlarmActions, OKActions } of alarms)
      for (const actions of [AlarmActions, OKActions])
        expect(actions).toEqual([{ Ref: expect.stringMatching(/^MonitoringAlarmsTopic/) }])
    service.hasResourceProperties('AWS::KMS::Key', {
      KeyPolicy: {
        Statement: Match.arrayWith([
          Match.objectLike({ Principal: { Service: 'cloudwatch.amazonaws.com' } }),
        ]),
      },
    })
  })

  test('every alarm has a runbook that says what it means, what to look at and what to do, and links to it', () => {
    const [, ...sections] = readFileSync(new URL('../../docs/runbooks.md', import.meta.url), 'utf8').split(
      /^## /m,
    )
    const runbooks = new Map(sections.map((text) => [text.slice(0, text.indexOf('\n')).trim(), text]))
    for (const alarm of alarms) {
      const id = idOf(alarm)
      expect(alarm.AlarmDescription, id).toMatch(new RegExp(`docs/runbooks\\.md#${id.toLowerCase()}$`))
      for (const part of ['Means', 'Look at', 'Do']) expect(runbooks.get(id), id).toContain(`**${part}:** `)
    }
    // Some are of classes of instances that a stage may not have.
    if (name === 'dev') expect([...runbooks.keys()].sort()).toEqual(alarms.map(idOf).sort())
  })

  test('no alarm goes off on a new stage before anything has run', () => {
    for (const alarm of alarms) expect(alarm.TreatMissingData, idOf(alarm)).not.toBe('breaching')
    // These must report; their state changes when they stop to.
    const mustReport = alarms.filter(({ TreatMissingData }) => TreatMissingData === 'missing')
    expect(mustReport.map(idOf).sort()).toEqual(['JobsMissing', 'OutboxLag', 'RevalidationMissing'])
    for (const { InsufficientDataActions, AlarmActions } of mustReport)
      expect(InsufficientDataActions).toEqual(AlarmActions)
  })

  test('each watched part has its alarms', () => {
    const named = (metric: string) =>
      alarms.filter((alarm) => JSON.stringify(alarm).includes(`"${metric}"`)).map(idOf)
    for (const metric of [
      'CPUUtilization',
      'FreeableMemory',
      'FreeStorageSpace',
      'EBSIOBalance%',
      'DatabaseMemoryUsagePercentage',
      'Evictions',
      'DatabaseConnectionsBorrowLatency',
      'DatabaseConnectionsCurrentlySessionPinned',
    ])
      expect(named(metric), metric).toHaveLength(1)
    expect(named('CPUCreditBalance')).toHaveLength(stage.database.instanceType.startsWith('t') ? 1 : 0)
    const ofUserPool = alarms.filter(({ Dimensions }) =>
      JSON.stringify(Dimensions)?.includes('Functionsuserpool'),
    )
    expect(ofUserPool.map(idOf)).toEqual(['UserPoolErrors'])
  })

  test('a deployment is stopped by the new version’s own faults only, so that a fix can follow a fault', () => {
    const guards = properties('AWS::CodeDeploy::DeploymentGroup')
      .flatMap(
        ({ AlarmConfiguration }) => (AlarmConfiguration as { Alarms: { Name: { Ref: string } }[] }).Alarms,
      )
      .map(({ Name }) => service.toJSON().Resources[Name.Ref].Properties)
    expect(guards.map(idOf)).toEqual(['NewVersionCrashes', 'NewVersionErrors', 'NewVersionLatency'])
    const [version] = ofType('AWS::Lambda::Version').filter(([id]) => id.startsWith('Functionsapi'))
    for (const guard of guards) {
      const metrics = guard.Metrics
        ? guard.Metrics.flatMap(
            ({ MetricStat }: { MetricStat?: { Metric: unknown } }) => MetricStat?.Metric ?? [],
          )
        : [guard]
      for (const { Dimensions } of metrics)
        expect(Dimensions).toContainEqual({
          Name: expect.stringMatching(/Version$/),
          Value: { 'Fn::GetAtt': [version?.[0], 'Version'] },
        })
    }
  })

  test('alarms and dashboard name metrics of the catalogue alone, each of this stage', () => {
    const known = Object.values(metrics).flatMap(({ dimensions, units }) =>
      Object.keys(units).map((metric) =>
        JSON.stringify([metric, Object.entries({ ...dimensions, Stage: name }).sort()]),
      ),
    )
    type Named = { Namespace?: string; MetricName?: string; Dimensions?: { Name: string; Value: string }[] }
    const ofAlarms = alarms
      .flatMap((alarm) => [
        alarm as Named,
        ...((alarm.Metrics ?? []) as { MetricStat?: { Metric: Named } }[]).map(
          ({ MetricStat }) => MetricStat?.Metric ?? {},
        ),
      ])
      .filter(({ Namespace }) => Namespace === namespace)
      .map(({ MetricName, Dimensions = [] }) =>
        JSON.stringify([
          MetricName,
          Dimensions.filter(({ Name }) => Name !== 'Version')
            .map(({ Name, Value }) => [Name, Value])
            .sort(),
        ]),
      )
    const body = JSON.stringify(properties('AWS::CloudWatch::Dashboard')).replaceAll('\\', '')
    const ofDashboard = [
      ...body.matchAll(/\["UserDirectory","(\w+)","(\w+)","([\w-]+)","(\w+)","([\w-]+)"/g),
    ].map(([, metric, ...dimensions]) => {
      const [name = '', value = '', other = '', another = ''] = dimensions
      return JSON.stringify([
        metric,
        [
          [name, value],
          [other, another],
        ].sort(),
      ])
    })
    expect(ofAlarms.length).toBeGreaterThan(8)
    expect(ofDashboard.length).toBe([...body.matchAll(/\["UserDirectory"/g)].length)
    expect(ofDashboard.length).toBeGreaterThan(12)
    for (const named of [...ofAlarms, ...ofDashboard]) expect(known).toContain(named)
  })
}
