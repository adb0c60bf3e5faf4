// Sends requests one after the other with Node's own fetch, and prints each answer on a line.
//
// node requests.mjs HEADER KEY [METHOD URL BODY]...   (an empty BODY: none)

const [header, key, ...orders] = process.argv.slice(2);
for (let at = 0; at + 2 < orders.length; at += 3) {
    const [method, url, body] = orders.slice(at, at + 3);
    const headers = { [header]: key, ...(body && { "content-type": "application/json" }) };
    const response = await fetch(url, { method, headers, body: body || undefined });
    console.log(`${response.status} ${await response.text()}`);
}
