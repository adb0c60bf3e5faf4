// The official client as its page makes it: the address as `environment`, the key from ELEVENLABS_API_KEY.
//
// node retry.mjs FOLDER URL BATCH   (FOLDER: where npm installed it)

import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, environment, batch] = process.argv.slice(2);
const { ElevenLabsClient } = createRequire(join(folder, "package.json"))("@elevenlabs/elevenlabs-js");
const answered = await new ElevenLabsClient({ environment }).conversationalAi.batchCalls.retry(batch);
console.log(JSON.stringify(answered));
