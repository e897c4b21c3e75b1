// The firewall before the API: a rate limit for each address, and AWS's managed rules.
import { Duration, Stack } from 'aws-cdk-lib'
import { Metric } from 'aws-cdk-lib/aws-cloudwatch'
import { CfnWebACL } from 'aws-cdk-lib/aws-wafv2'
import { Construct } from 'constructs'
import { problemReply } from '../../src/handler/http/problem.ts'
import { overloaded } from '../../src/model/errors.ts'
import { prefix } from '../names.ts'
import type { Stage, StageName } from '../stages.ts'
import { onlyOrigin } from './cors.ts'

const blockedSeconds = 60

// The service binds what comes in a query or a body as data, and a name, a contact or a search may be any text:
// `web.config`, `http://10.0.0.5/`, `${jndi:…}`. These rules count what they find there and block nothing. The rules
// for paths, headers and cookies block.

// https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
const counted = {
  CommonRuleSet: [
    // The API takes 100 ids, which are 3.7 KB; images make bodies of up to 8 MB.
    'SizeRestrictions_QUERYSTRING',
    'SizeRestrictions_BODY',
    'EC2MetaDataSSRF_BODY',
    'EC2MetaDataSSRF_QUERYARGUMENTS',
    'GenericLFI_BODY',
    'GenericLFI_QUERYARGUMENTS',
    'GenericRFI_BODY',
    'GenericRFI_QUERYARGUMENTS',
    'RestrictedExtensions_QUERYARGUMENTS',
    'CrossSiteScripting_BODY',
    'CrossSiteScripting_QUERYARGUMENTS',
    // Machine clients do not always name themselves.
    'NoUserAgent_HEADER',
  ],
  KnownBadInputsRuleSet: [
    'JavaDeserializationRCE_BODY',
    'JavaDeserializationRCE_QUERYSTRING',
    'Log4JRCE_BODY',
    'Log4JRCE_QUERYSTRING',
    'ReactJSRCE_BODY',
  ],
}

export class Firewall extends Construct {
  readonly arn: string
  readonly #name: string

  constructor(
    scope: Construct,
    id: string,
    {
      stageName,
      stage,
      requestsPerAddress,
    }: { stageName: StageName; stage: Stage; requestsPerAddress: number },
  ) {
    super(scope, id)
    this.#name = prefix(stageName)
    const acl = new CfnWebACL(this, 'Acl', {
      name: this.#name,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      customResponseBodies: { TooMany: { contentType: 'APPLICATION_JSON', content: tooMany() } },
      rules: [
        {
          name: 'RequestsPerAddress',
          priority: 0,
          action: {
            block: {
              customResponse: {
                responseCode: 429,
                customResponseBodyKey: 'TooMany',
                responseHeaders: [
                  { name: 'Retry-After', value: String(blockedSeconds) },
                  { name: 'Cache-Control', value: 'no-store' },
                  ...onlyOrigin(stage).map((value) => ({ name: 'Access-Control-Allow-Origin', value })),
                ],
              },
            },
          },
          statement: {
            rateBasedStatement: {
              aggregateKeyType: 'IP',
              limit: requestsPerAddress,
              evaluationWindowSec: 300,
            },
          },
          visibilityConfig: visible('RequestsPerAddress'),
        },
        managed(1, 'AmazonIpReputationList', []),
        managed(2, 'CommonRuleSet', counted.CommonRuleSet),
        managed(3, 'KnownBadInputsRuleSet', counted.KnownBadInputsRuleSet),
      ],
      visibilityConfig: visible('Firewall'),
    })
    this.arn = acl.attrArn
  }

  /** By rule. */
  metricsBlocked(): Metric[] {
    return ['RequestsPerAddress', 'CommonRuleSet', 'KnownBadInputsRuleSet', 'AmazonIpReputationList'].map(
      (rule) =>
        new Metric({
          namespace: 'AWS/WAFV2',
          metricName: 'BlockedRequests',
          dimensionsMap: { WebACL: this.#name, Region: Stack.of(this).region, Rule: rule },
          statistic: 'Sum',
          period: Duration.minutes(5),
          label: rule,
        }),
    )
  }
}

/** The API's problem document, without a request id: the firewall knows none. */
function tooMany(): string {
  const { request_id: _, ...problem } = JSON.parse(String(problemReply(overloaded(), '').body))
  return JSON.stringify({
    ...problem,
    detail: `This address has sent too many requests. Wait ${blockedSeconds} seconds, then send fewer.`,
  })
}

function visible(metricName: string): CfnWebACL.VisibilityConfigProperty {
  return {
    cloudWatchMetricsEnabled: true,
    metricName,
    // Samples would keep headers, and so tokens.
    sampledRequestsEnabled: false,
  }
}

function managed(priority: number, name: string, counted: string[]): CfnWebACL.RuleProperty {
  return {
    name,
    priority,
    overrideAction: { none: {} },
    statement: {
      managedRuleGroupStatement: {
        vendorName: 'AWS',
        name: `AWSManagedRules${name}`,
        ruleActionOverrides: counted.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
      },
    },
    visibilityConfig: visible(name),
  }
}
