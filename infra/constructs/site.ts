// One host for browsers: CloudFront before the console's files, the API and the avatars.

import { fileURLToPath } from 'node:url'
import { Duration, Stack } from 'aws-cdk-lib'
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager'
import {
  AccessLevel,
  AllowedMethods,
  type BehaviorOptions,
  CachePolicy,
  Distribution,
  Function as EdgeFunction,
  FunctionCode,
  FunctionEventType,
  type HeadersReferrerPolicy,
  HttpVersion,
  OriginRequestPolicy,
  ResponseHeadersPolicy,
  type ResponseSecurityHeadersBehavior,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront'
import { HttpOrigin, S3BucketOrigin } from 'aws-cdk-lib/aws-cloudfront-origins'
import { Bucket } from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import { securityHeaders } from '../../src/handler/http/console/security-headers.ts'
import { serverPaths } from '../../src/handler/http/console/server-paths.ts'
import type { DataStack } from '../data-stack.ts'
import { accept } from '../nag.ts'
import { aliasName } from '../names.ts'
import type { Stage } from '../stages.ts'
import type { Api } from './api.ts'
import { ConsoleFiles } from './console-files.ts'
import { originKeyHeader } from './firewall.ts'

/** How long CloudFront may still serve an erased avatar. */
const edgeTtl = Duration.minutes(5)

// Otherwise CloudFront would keep an error for ten seconds and give it to every caller.
const errorStatuses = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]

const transportSecurity = { accessControlMaxAge: Duration.days(365), override: true }

export class Site extends Construct {
  readonly distribution: Distribution
  readonly files: ConsoleFiles
  /** Without a path. */
  readonly origin: string

  constructor(
    scope: Construct,
    id: string,
    { stage, data, api }: { stage: Stage; data: DataStack; api: Api },
  ) {
    super(scope, id)
    this.files = new ConsoleFiles(this, 'Files')
    const gateway = this.#toGateway(stage, api)
    const files = this.#toFiles(data)
    const paths = serverPaths.map((path) => path.replace(/\{\w+\}/, '*'))
    this.distribution = new Distribution(this, 'Distribution', {
      comment: 'Console, API and avatars',
      ...(stage.domains && {
        domainNames: [stage.domains.site],
        certificate: Certificate.fromCertificateArn(this, 'Certificate', stage.domains.edgeCertificateArn),
        minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
      }),
      // The first that matches counts, and otherwise the default.
      additionalBehaviors: {
        '/avatars/*': this.#toAvatars(data),
        ...Object.fromEntries(paths.map((path) => [path, gateway])),
        '/console/*': files,
        '/console': files,
      },
      defaultBehavior: gateway,
      errorResponses: errorStatuses.map((httpStatus) => ({ httpStatus, ttl: Duration.seconds(0) })),
      httpVersion: HttpVersion.HTTP2_AND_3,
    })
    this.origin = `https://${stage.domains?.site ?? this.distribution.distributionDomainName}`
    accept(this.distribution, {
      'Annotation::@aws-cdk/aws-cloudfront-origins:updateImportedBucketPolicyOac':
        'The policy of the avatars’ bucket allows it.',
      'Annotation::@aws-cdk/aws-cloudfront-origins:listBucketSecurityRisk':
        'Every request for a file names one below /console/.',
      'AwsSolutions-CFR1': 'Users may be anywhere.',
      'AwsSolutions-CFR3':
        'Its logs would hold queries: searches for people, and codes of sign-ins. API Gateway logs requests without them.',
      'AwsSolutions-CFR2': 'The firewall is before API Gateway. The rest are files for everyone.',
      ...(!stage.domains && {
        'AwsSolutions-CFR4':
          'The default CloudFront certificate fixes the minimum TLS version; a custom one does not.',
      }),
    })
  }

  /** Nothing is cached, and everything is passed on: the function decides by method, headers and cookies. */
  #toGateway(stage: Stage, { rest, originKey }: Api): BehaviorOptions {
    const { region, urlSuffix } = Stack.of(this)
    // The stage's name instead of its resource, which would come after the functions, which need this host's name.
    const [host, originPath] = stage.domains
      ? [stage.domains.api, undefined]
      : [`${rest.restApiId}.execute-api.${region}.${urlSuffix}`, `/${aliasName}`]
    return {
      origin: new HttpOrigin(host, {
        originPath,
        customHeaders: {
          // The service's references in answers begin at this host's root.
          'X-Forwarded-Prefix': '/',
          ...(originKey && { [originKeyHeader]: originKey.secretValue.unsafeUnwrap() }),
        },
      }),
      allowedMethods: AllowedMethods.ALLOW_ALL,
      viewerProtocolPolicy: ViewerProtocolPolicy.HTTPS_ONLY,
      cachePolicy: CachePolicy.CACHING_DISABLED,
      originRequestPolicy: OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
      responseHeadersPolicy: new ResponseHeadersPolicy(this, 'ApiHeaders', {
        securityHeadersBehavior: { strictTransportSecurity: transportSecurity },
      }),
      functionAssociations: [this.#function('Viewer', 'viewer.js')],
    }
  }

  /** The same headers as on the Node server. Avatars are on this host, and files for imports go to the bucket. */
  #toFiles({ avatars, cognito }: DataStack): BehaviorOptions {
    const {
      'Content-Security-Policy': contentSecurityPolicy = '',
      'Referrer-Policy': referrerPolicy,
      ...custom
    } = securityHeaders({ issuer: cognito.domain.baseUrl(), uploads: avatars.uploadOrigin })
    return {
      origin: S3BucketOrigin.withOriginAccessControl(this.files.bucket, {
        // Otherwise a missing file would be a 403.
        originAccessLevels: [AccessLevel.READ, AccessLevel.LIST],
      }),
      allowedMethods: AllowedMethods.ALLOW_GET_HEAD,
      viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
      // The files' own Cache-Control decides.
      cachePolicy: CachePolicy.CACHING_OPTIMIZED,
      responseHeadersPolicy: new ResponseHeadersPolicy(this, 'PageHeaders', {
        securityHeadersBehavior: this.#security(contentSecurityPolicy, {
          referrerPolicy: { referrerPolicy: referrerPolicy as HeadersReferrerPolicy, override: true },
        }),
        customHeadersBehavior: {
          customHeaders: Object.entries(custom).map(([header, value]) => ({ header, value, override: true })),
        },
      }),
      functionAssociations: [this.#function('Page', 'page.js')],
    }
  }

  /** The same headers as on the Node server's avatar route. */
  #toAvatars({ avatars }: DataStack): BehaviorOptions {
    const { region } = Stack.of(this)
    return {
      // By its name, because the bucket's own policy must not depend on this stack.
      origin: S3BucketOrigin.withOriginAccessControl(
        Bucket.fromBucketAttributes(this, 'Avatars', { bucketName: avatars.bucketName, region }),
      ),
      allowedMethods: AllowedMethods.ALLOW_GET_HEAD,
      viewerProtocolPolicy: ViewerProtocolPolicy.HTTPS_ONLY,
      cachePolicy: new CachePolicy(this, 'AvatarCache', {
        comment: 'Avatars leave the edge soon after they are erased',
        minTtl: Duration.seconds(0),
        defaultTtl: edgeTtl,
        // Objects carry a Cache-Control of a year, which is meant for browsers only.
        maxTtl: edgeTtl,
      }),
      responseHeadersPolicy: new ResponseHeadersPolicy(this, 'AvatarHeaders', {
        securityHeadersBehavior: this.#security("default-src 'none'; sandbox"),
        customHeadersBehavior: {
          customHeaders: [{ header: 'Cross-Origin-Resource-Policy', value: 'cross-origin', override: true }],
        },
      }),
    }
  }

  #security(
    contentSecurityPolicy: string,
    more: ResponseSecurityHeadersBehavior = {},
  ): ResponseSecurityHeadersBehavior {
    return {
      contentTypeOptions: { override: true },
      contentSecurityPolicy: { contentSecurityPolicy, override: true },
      strictTransportSecurity: transportSecurity,
      ...more,
    }
  }

  #function(id: string, file: string) {
    const filePath = fileURLToPath(new URL(`../edge/${file}`, import.meta.url))
    return {
      function: new EdgeFunction(this, id, { code: FunctionCode.fromFile({ filePath }) }),
      eventType: FunctionEventType.VIEWER_REQUEST,
    }
  }
}
