// The S3 server of the tests as a process of its own, so that it can be killed: `s3-process.ts DIRECTORY PORT`.
import { openS3 } from './s3.ts'

const [directory = '', port = ''] = process.argv.slice(2)
await openS3(directory, Number(port)).run()
process.stdout.write('ready\n')
