// How the stages differ.
export type StageName = 'dev' | 'prod'
