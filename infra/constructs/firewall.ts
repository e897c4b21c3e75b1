// AWS WAF in front of the API: a rate limit for each address, and AWS's managed rules.
import { Duration, Stack } from 'aws-cdk-lib'
import { Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager'
import { CfnWebACL } from 'aws-cdk-lib/aws-wafv2'
import { Construct } from 'constructs'
import { problemReply } from '../../src/handler/http/problem.ts'
import { overloaded } from '../../src/model/errors.ts'
import { prefix } from '../names.ts'
import type { StageProps } from '../stages.ts'
import { onlyOrigin } from './cors.ts'

const blockedSeconds = 60

/** The header in which CloudFront sends the origin key. */
export const originKeyHeader = 'X-Origin-Key'

// Names, contacts and searches may be any text, such as `web.config` or `${jndi:…}`, and the service treats them as data.
// These rules for queries and bodies therefore only count. The rules for paths, headers and cookies block.

// https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
const counted = {
  CommonRuleSet: [
    // A list request may name 100 ids (3.7 KB), and images make bodies of up to 8 MB.
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
    // Not every machine client sends a User-Agent.
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
      originKey,
      requestsPerAddress,
    }: StageProps & { originKey: ISecret; requestsPerAddress: number },
  ) {
    super(scope, id)
    this.#name = prefix(stageName)
    const blocked: CfnWebACL.RuleActionProperty = {
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
    }
    const limit = { limit: requestsPerAddress, evaluationWindowSec: 300 }
    const isFromEdge: CfnWebACL.StatementProperty = {
      byteMatchStatement: {
        fieldToMatch: { singleHeader: { Name: originKeyHeader.toLowerCase() } },
        positionalConstraint: 'EXACTLY',
        searchString: originKey.secretValue.unsafeUnwrap(),
        textTransformations: [{ priority: 0, type: 'NONE' }],
      },
    }
    const acl = new CfnWebACL(this, 'Acl', {
      name: this.#name,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      customResponseBodies: { TooMany: { contentType: 'APPLICATION_JSON', content: tooMany() } },
      rules: [
        {
          name: 'RequestsPerAddress',
          priority: 0,
          action: blocked,
          statement: {
            rateBasedStatement: {
              aggregateKeyType: 'IP',
              ...limit,
              scopeDownStatement: { notStatement: { statement: isFromEdge } },
            },
          },
          visibilityConfig: visibility('RequestsPerAddress'),
        },
        {
          // Through CloudFront, the address of a connection is that of an edge server with many clients.
          name: 'RequestsPerViewer',
          priority: 1,
          action: blocked,
          statement: {
            rateBasedStatement: {
              aggregateKeyType: 'FORWARDED_IP',
              forwardedIpConfig: { headerName: 'X-Viewer-Address', fallbackBehavior: 'MATCH' },
              ...limit,
              scopeDownStatement: isFromEdge,
            },
          },
          visibilityConfig: visibility('RequestsPerViewer'),
        },
        managed(2, 'AmazonIpReputationList', []),
        managed(3, 'CommonRuleSet', counted.CommonRuleSet),
        managed(4, 'KnownBadInputsRuleSet', counted.KnownBadInputsRuleSet),
      ],
      visibilityConfig: visibility('Firewall'),
    })
    this.arn = acl.attrArn
  }

  /** One metric for each rule. */
  metricsBlocked(): Metric[] {
    return [
      'RequestsPerAddress',
      'RequestsPerViewer',
      'CommonRuleSet',
      'KnownBadInputsRuleSet',
      'AmazonIpReputationList',
    ].map(
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

/** The API's problem document without a request id, which the firewall does not have. */
function tooMany(): string {
  const { request_id: _, ...problem } = JSON.parse(String(problemReply(overloaded(), '').body))
  return JSON.stringify({
    ...problem,
    detail: `This address has sent too many requests. Wait ${blockedSeconds} seconds, then send fewer.`,
  })
}

function visibility(metricName: string): CfnWebACL.VisibilityConfigProperty {
  return {
    cloudWatchMetricsEnabled: true,
    metricName,
    // Samples would store headers, tokens included.
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
    visibilityConfig: visibility(name),
  }
}
