// Text without its accents, for search and for the order of names.

// Letters whose stroke, hook or ligature Unicode does not decompose, as CLDR's transform Latin-ASCII maps them
// (common/transforms/Latin-ASCII.xml), with the apostrophes and dashes of the same table. Lower case only.
const latinAscii =
  'a:ⱥᴀᶏ aa:ꜳ ae:æᴁ ao:ꜵ au:ꜷ av:ꜹꜻ ay:ꜽ b:ƀɓƃʙᴃᵬᶀ c:ƈȼɕᴄꞓ d:ðđɖɗƌȡᴅᴆᵭᶁᶑꝱꝺ db:ȸ dz:ʣʥ e:ɛɇᴇᶒᶓⱸ f:ƒᵮᶂꜰꝼ ' +
  'g:ɠǥɡɢʛᶃꞡ h:ħɦɧʜⱨ hv:ƕ i:ıɩɨɪᵻᶖ j:ȷɉɟʝᴊ k:ƙᴋᶄⱪꝁꝃꝅꞣ l:łƚȴɫɬɭʟᴌᶅⱡꝇꝉꝲ ll:ỻ ls:ʪ lz:ʫ m:ɱᴍᵯᶆꝳ ' +
  'n:ŋɲƞȵɳɴᵰᶇꝴꞑꞥ o:øᴏⱺꝋꝍ oe:œɶ oi:ƣ oo:ꝏ p:ƥᴘᵱᵽᶈꝑꝓꝕ q:ĸʠꝗꝙ qp:ȹ r:ɍɼɽɾʀᵲᵳᶉꝵꝶꞧ s:ȿʂᵴᶊẜẝꜱꞩ ss:ß ' +
  't:ŧƫƭʈȶⱦᴛᵵꝷꞇ th:þᵺꝥꝧ ts:ʦ u:ʉᴜᵾᶙ ue:ᵫ v:ʋᴠᶌỽⱱⱴꝟ vy:ꝡ w:ᴡⱳ x:ᶍ y:ƴɏʏỿ z:ƶȥɀʐʑᴢᵶᶎⱬ ' +
  "':ʹʻʼʽˈ‘’‛′ -:‐‑‒–—―−"

const ascii = new Map(
  latinAscii.split(' ').flatMap((entry): [string, string][] => {
    const [base = '', variants = ''] = entry.split(':')
    return [...variants].map((variant) => [variant, base])
  }),
)
const mapped = new RegExp(`[${[...ascii.keys()].join('')}]`, 'gu')

// The scripts in which a mark only modifies its letter: Unicode's collation (UTS #10) gives the two the same
// primary weight. In all others (Thai, Devanagari, kana, …) a mark is a letter of its own and stays.
const accented = /(?=\p{L})([\p{sc=Latin}\p{sc=Greek}\p{sc=Cyrillic}\p{sc=Hebrew}\p{sc=Arabic}])(\p{M}+)/gu
const breve = '\u0306'

// Joiners, variation selectors and the like, which nobody sees or types, and the Arabic stretching stroke.
const invisible = /[\p{Default_Ignorable_Code_Point}\u0640]/gu

/**
 * The base letters of text that `fold` has folded: no accents, ASCII for Latin letters, ASCII digits. Marks that are
 * letters stay, and so does the breve of й, a letter of its own in UTS #10.
 */
export function baseLetters(folded: string): string {
  if (/^[\x20-\x7e]*$/.test(folded)) return folded
  return folded
    .normalize('NFD')
    .replace(invisible, '')
    .replace(accented, (_, letter: string, marks: string) =>
      letter === 'и' && marks.includes(breve) ? letter + breve : letter,
    )
    .replace(mapped, (character) => ascii.get(character) ?? character)
    .replace(/[^\P{Nd}0-9]/gu, asciiDigit)
    .normalize('NFC')
}

/** Unicode keeps the decimal digits of a script together, 0 to 9. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0
  let zero = code
  while (/^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero--
  return String((code - zero) % 10)
}
