/** The page: the index lies beside it, as files; searching happens here. */

import { open } from 'shibumi';
import { createLexicalEmbedder } from '../../demo/embed/lexical.ts';

const form = document.querySelector('form') as HTMLFormElement;
const status = document.querySelector('output') as HTMLOutputElement;
const list = document.querySelector('ol') as HTMLOListElement;
const embedder = createLexicalEmbedder();

async function search(question: string): Promise<void> {
  const hits = await db.searchTopK(await embedder.embed([question]), 5, { space: 'passages' });
  const found = hits.filter(({ distance }) => distance < embedder.chanceDistance);
  const texts = await db.getMany(
    found.map(({ id }) => String(id)),
    { space: 'texts' },
  );
  list.replaceChildren(
    ...found.map(({ id }, i) => {
      const item = document.createElement('li');
      item.textContent = `${id}: ${texts[i]}`;
      return item;
    }),
  );
  status.value = `${found.length} passages`;
}

const db = await open({ from: 'index/' });
status.value = `${await db.countVectors({ space: 'passages' })} passages are indexed`;
form.addEventListener('submit', (event) => {
  event.preventDefault();
  const question = String(new FormData(form).get('question'));
  search(question).catch((error: Error) => {
    status.value = error.message;
  });
});
