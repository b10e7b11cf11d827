/** The page's entry: reads what the address chooses and starts the app. */

import { App } from './page/app.ts';
import { readSettings } from './page/settings.ts';

const app = new App(readSettings(location.search));
await app.start();
