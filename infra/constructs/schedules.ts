// Scheduled jobs: the daily revalidation and the delivery of the outbox.
import { Duration } from 'aws-cdk-lib'
import { Rule, Schedule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { accept } from '../nag.ts'
import type { Stage } from '../stages.ts'
import type { Functions } from './functions.ts'

export class Schedules extends Construct {
  /** Calls that could not be delivered, and runs of the daily job whose last attempt failed. */
  readonly deadLetters: Queue

  constructor(
    scope: Construct,
    id: string,
    { stage, functions: { refresh, deliver } }: { stage: Stage; functions: Functions },
  ) {
    super(scope, id)
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    })
    accept(this.deadLetters, { 'AwsSolutions-SQS3': 'It is itself the dead-letter queue.' })

    // A run that fails or reaches its time limit is continued by the next attempt.
    refresh.alias.configureAsyncInvoke({
      retryAttempts: 2,
      maxEventAge: Duration.hours(2),
      onFailure: new SqsDestination(this.deadLetters),
    })
    new Rule(this, 'Daily', {
      description: 'The revalidation, at a quiet hour',
      schedule: Schedule.cron({ minute: '17', hour: '3' }),
      targets: [
        new LambdaFunction(refresh.alias, {
          deadLetterQueue: this.deadLetters,
          retryAttempts: 3,
          maxEventAge: Duration.hours(2),
        }),
      ],
    })

    // No retries: the next scheduled call also does the work of a lost or throttled one.
    deliver.alias.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.seconds(60) })
    new Rule(this, 'Delivery', {
      description: 'The delivery of the outbox',
      schedule: Schedule.rate(Duration.minutes(stage.delivery.everyMinutes)),
      targets: [
        new LambdaFunction(deliver.alias, {
          deadLetterQueue: this.deadLetters,
          retryAttempts: 0,
          maxEventAge: Duration.seconds(60),
        }),
      ],
    })
  }
}
