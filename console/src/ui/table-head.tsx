// The headings of a plain table.

export function TableHead({ titles }: { titles: string[] }) {
  return (
    <thead>
      <tr className="text-muted">
        {titles.map((title) => (
          <th key={title} scope="col" className="pe-6 text-start font-normal">
            {title}
          </th>
        ))}
      </tr>
    </thead>
  )
}
