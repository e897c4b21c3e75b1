// Scheduled calls: the daily revalidation, the delivery of the outbox, and the jobs.
import { Duration } from 'aws-cdk-lib'
import { Rule, Schedule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'
import { accept } from '../nag.ts'
import type { Stage } from '../stages.ts'
import type { Functions } from './functions.ts'
import type { ServiceFunction } from './service-function.ts'

export class Schedules extends Construct {
  /** Calls that could not be delivered, and runs of the daily job whose last attempt failed. */
  readonly deadLetters: Queue

  constructor(
    scope: Construct,
    id: string,
    { stage, functions: { refresh, deliver, runJobs } }: { stage: Stage; functions: Functions },
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

    this.#addRepeated('Delivery', deliver, {
      description: 'The delivery of the outbox',
      everyMinutes: stage.delivery.everyMinutes,
    })
    // Started by the schedule alone: the API's subnets have no way to Lambda except to one function.
    this.#addRepeated('Jobs', runJobs, {
      description: 'Imports and exports',
      everyMinutes: stage.jobsEveryMinutes,
    })
  }

  /** Without retries: the next scheduled call also does the work of a lost or throttled one. */
  #addRepeated(
    id: string,
    { alias }: ServiceFunction,
    { description, everyMinutes }: { description: string; everyMinutes: number },
  ): void {
    const once = { retryAttempts: 0, maxEventAge: Duration.seconds(60) }
    alias.configureAsyncInvoke(once)
    new Rule(this, id, {
      description,
      schedule: Schedule.rate(Duration.minutes(everyMinutes)),
      targets: [new LambdaFunction(alias, { deadLetterQueue: this.deadLetters, ...once })],
    })
  }
}
