// Begins an import: the file, its format and columns, and the rules for existing users. The first run changes nothing.
import { useQueryClient } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { detectFormat, type NewImport } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { Button } from '../ui/button.tsx'
import { FileField } from '../ui/file-field.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { SelectField } from '../ui/select-field.tsx'
import { UnsavedGuard } from '../ui/unsaved-guard.tsx'
import { type Column, mappingFaults, mappingOf, readColumns } from './column-mapping.ts'
import { readFileStart } from './file-start.ts'
import { beginImport, type ImportPlan, importsQuery } from './jobs.ts'
import { MappingTable } from './mapping-table.tsx'
import { type OptionTexts, optionsOf, SourceOptions } from './source-options.tsx'

type Format = NewImport['format']
type Rules = Required<Pick<NewImport, 'on_conflict' | 'match' | 'announce'>>

const formatNames: Record<Format, string> = {
  ndjson: 'NDJSON of this service',
  csv: 'CSV',
  keycloak: 'Keycloak',
  auth0: 'Auth0',
  firebase: 'Firebase',
  cognito: 'Cognito',
  clerk: 'Clerk',
  supabase: 'Supabase',
}
const formats = Object.entries(formatNames).map(([value, text]) => ({ value, text }))
const conflicts = [
  { value: 'skip', text: 'Leave it' },
  { value: 'update', text: 'Update the fields of the row' },
  { value: 'fail', text: 'Refuse the row' },
]
const matches = [
  { value: 'username', text: 'Username' },
  { value: 'external_id', text: 'External id' },
]

/** A file, and what its first bytes tell. */
type Source = { file: File; hint: string }

export function ImportForm() {
  const router = useRouter()
  const queryClient = useQueryClient()
  const [source, setSource] = useState<Source>()
  const [format, setFormat] = useState<Format>('csv')
  const [columns, setColumns] = useState<Column[]>([])
  const [hashes, setHashes] = useState<File>()
  const [rules, setRules] = useState<Rules>({ on_conflict: 'skip', match: 'username', announce: true })
  const [options, setOptions] = useState<OptionTexts>({})
  const latest = useRef<File>(undefined)
  const isBegun = useRef(false)
  const check = useSingleMutation({
    mutationFn: (plan: ImportPlan) => beginImport(plan, true),
    onSuccess: async ({ id }) => {
      isBegun.current = true
      // The person may have left while the file was sent.
      if (router.matchRoute({ to: '/imports' }))
        await router.navigate({ to: '/imports/$jobId', params: { jobId: id } })
      await queryClient.invalidateQueries({ queryKey: importsQuery.queryKey })
    },
  })

  const choose = async (file: File | undefined) => {
    latest.current = file
    setSource(undefined)
    if (!file) return
    const start = await readFileStart(file)
    // Another file may have been chosen while this one was read.
    if (latest.current !== file) return
    const found = start ? detectFormat(start) : []
    const [detected = format] = found
    setSource({ file, hint: hintOf(start !== undefined, found) })
    setColumns(start ? readColumns(start) : [])
    setFormat(detected)
  }

  const hasMapping = format === 'csv' && columns.length > 0
  const faults = hasMapping ? mappingFaults(columns) : []
  const submit = () => {
    if (!source || faults.length > 0) return
    const mapping = hasMapping ? mappingOf(columns) : {}
    const sourceOptions = optionsOf(format, options)
    const request: ImportPlan['request'] = {
      ...rules,
      format,
      ...(Object.keys(mapping).length > 0 && { mapping }),
      ...(sourceOptions && { options: sourceOptions }),
    }
    check.mutate({ file: source.file, hashes: format === 'auth0' ? hashes : undefined, request })
  }

  return (
    <form
      className="flex max-w-3xl flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      {check.error && <ProblemNotice error={check.error} onRetry={submit} />}
      <FileField label="File, also compressed by gzip or Zstandard" onChange={(file) => void choose(file)} />
      {source && (
        <>
          <SelectField
            label="Format"
            value={format}
            options={formats}
            onChange={(value) => setFormat(value as Format)}
          />
          <p role="status" className="text-muted">
            {source.hint}
          </p>
          {hasMapping && <MappingTable columns={columns} onChange={setColumns} />}
          {format === 'auth0' && (
            <FileField
              label="File of password hashes, if Auth0's support gave you one"
              onChange={setHashes}
            />
          )}
          <SelectField
            label="A row belongs to a user with the same"
            value={rules.match}
            options={matches}
            onChange={(match) => setRules({ ...rules, match: match as Rules['match'] })}
          />
          <SelectField
            label="If the user exists already"
            value={rules.on_conflict}
            options={conflicts}
            onChange={(choice) => setRules({ ...rules, on_conflict: choice as Rules['on_conflict'] })}
          />
          <SourceOptions format={format} texts={options} onChange={setOptions} />
          <label className="flex items-center gap-2">
            <input
              type="checkbox"
              checked={rules.announce}
              onChange={(event) => setRules({ ...rules, announce: event.target.checked })}
            />
            Publish an event for each created user
          </label>
          {faults.length > 0 && (
            <ul role="alert" className="text-danger">
              {faults.map((fault) => (
                <li key={fault}>{fault}</li>
              ))}
            </ul>
          )}
          <p className="text-muted">The check reads the whole file and changes no user.</p>
          <Button
            look="primary"
            type="submit"
            className="self-start"
            isDisabled={faults.length > 0 || check.isPending}
          >
            {check.isPending ? 'Sending the file…' : 'Check the file'}
          </Button>
        </>
      )}
      <UnsavedGuard isUnsaved={() => source !== undefined && !isBegun.current} />
    </form>
  )
}

function hintOf(isReadable: boolean, [first, ...others]: Format[]): string {
  if (!isReadable) return 'The browser cannot decompress this file. Choose its format.'
  if (first === undefined) return 'The content has no known format. Choose one.'
  if (others.length === 0) return `The content is recognised as ${formatNames[first]}.`
  const names = [first, ...others].map((format) => formatNames[format])
  return `The content may be ${names.slice(0, -1).join(', ')} or ${names.at(-1)}. Choose the right one.`
}
