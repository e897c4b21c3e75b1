// Our own NDJSON: one user in each line. PostgreSQL writes the lines, because the driver reads one text in far less
// time than all columns.

const text = (column: string) => `coalesce(to_json(${column})::text, 'null')`
const instant = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

const contacts = `coalesce((
    SELECT string_agg(
      '{"id":"' || c.id || '","contact_type":"' || c.contact_type || '","value":' || to_json(c.value) || '}', ','
      ORDER BY c.position)
    FROM contacts c WHERE c.user_id = u.id
  ), '')`

/**
 * @returns the SQL expression of an `ExportedUser` as JSON, for `FROM users u`. The order of keys is fixed, so equal
 *   users are equal lines
 */
export function ndjsonLine(includesHashes: boolean): string {
  return `'{"id":"' || u.id
    || '","username":' || ${text('u.username')}
    || ',"name":' || ${text('u.name')}
    || ',"status":"' || u.status
    || '","external_id":' || ${text('u.external_id')}
    || ',"avatar":' || ${text('u.avatar')}
    || ',"contacts":[' || ${contacts}
    || '],"attributes":' || u.attributes
    || ',"version":' || u.version
    || ',"created_at":"' || ${instant('u.created_at')}
    || '","updated_at":"' || ${instant('u.updated_at')} || '"'
    ${includesHashes ? `|| ',"password_hash":' || ${text('u.password_hash')}` : ''}
    || '}'`
}
