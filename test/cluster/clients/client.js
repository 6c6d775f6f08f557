// client.js FOLDER LIBRARY plain|sentinel NAME PORT... - a client for Node.js that goes on whatever happens to nodes.
//
// Round after round it sets a key, adds to a counter, and reads the key again, which must be what it has set. It prints
// "round N" after each, and goes on until its standard input ends; then it reads all that it has set once more and
// prints "done rounds=N acked=A uncertain=U": how many additions were acknowledged, and of how many it is not known.
// A reply that is wrong, or an error that says anything but what became of the cluster or the connection, ends it.
//
// FOLDER: where node_modules are. LIBRARY: "ioredis-5", the package's name there. plain: it is connected to the first
// port; sentinel: it asks at all of them who leads. Its first line is "state: ready", or why it cannot run here.
'use strict';

const assert = require('assert');
const path = require('path');
const { promisify } = require('util');

const [folder, library, mode, name, ...ports] = process.argv.slice(2);
const nodes = ports.map((port) => ({ host: '127.0.0.1', port: Number(port) }));

function load() {
    const place = path.resolve(folder, 'node_modules', library);
    const { engines = {} } = require(path.join(place, 'package.json'));
    const wanted = /^>=\s*(\d+)/.exec(engines.node || '');
    if (wanted && Number(process.versions.node.split('.')[0]) < Number(wanted[1])) {
        console.log(`state: ${library} needs Node.js ${wanted[1]}, this is ${process.versions.node}`);
        process.exit(0);
    }
    return require(place);
}

// ---- What differs between the libraries ----

function silent() {} // errors come from the commands, too

async function connectIoredis(Redis) {
    const client = mode === 'sentinel' ? new Redis({ sentinels: nodes, name }) : new Redis(nodes[0]);
    client.on('error', silent);
    return {
        set: (key, value) => client.set(key, value),
        get: (key) => client.get(key),
        incr: (key) => client.incr(key),
        transaction: async (key) => (await client.multi().incr(key).get(key).exec()).map(([error, value]) => {
            assert.ifError(error);
            return value;
        }),
        quit: () => client.quit(),
    };
}

function connectRedis3(redis) {
    const client = redis.createClient({ ...nodes[0], retry_strategy: () => 50 });
    client.on('error', silent);
    const call = (verb, ...rest) => promisify(client[verb]).call(client, ...rest);
    return {
        set: (key, value) => call('set', key, value),
        get: (key) => call('get', key),
        incr: (key) => call('incr', key),
        transaction: (key) => {
            const multi = client.multi().incr(key).get(key);
            return promisify(multi.exec).call(multi);
        },
        quit: () => call('quit'),
    };
}

async function connectRedis(redis) {
    const client =
        mode === 'sentinel'
            ? redis.createSentinel({ name, sentinelRootNodes: nodes })
            : redis.createClient({ socket: nodes[0] });
    client.on('error', silent);
    await client.connect();
    return {
        set: (key, value) => client.set(key, value),
        get: (key) => client.get(key),
        incr: (key) => client.incr(key),
        transaction: (key) => client.multi().incr(key).get(key).exec(),
        quit: () => (client.close ? client.close() : client.quit()),
    };
}

function connect(package_) {
    if (library.startsWith('ioredis'))
        return connectIoredis(package_);
    return library === 'redis-3' ? connectRedis3(package_) : connectRedis(package_);
}

// ---- The rounds ----

const told = { rounds: 0, acked: 0, uncertain: 0 };
let stopping = false;

// Whether a command that failed was certainly not executed.
function notExecuted(error) {
    assert.ok(!/^(ERR|WRONGTYPE|EXECABORT|READONLY|LOADING|NO|OOM|MISCONF)/.test(error.message), error);
    console.log(`failed: ${error.message}`);
    return error.message.startsWith('CLUSTERDOWN');
}

// What may be done twice is tried until it succeeds.
async function persist(command) {
    for (;;) {
        try {
            return await command();
        } catch (error) {
            notExecuted(error);
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }
}

async function add(command) {
    try {
        await command();
        told.acked++;
    } catch (error) {
        told.uncertain += notExecuted(error) ? 0 : 1;
    }
}

async function round(client, number) {
    const key = `${library}:${mode}:${number}`;
    const counter = `${library}:${mode}:count`;
    assert.strictEqual(await persist(() => client.set(key, String(number))), 'OK');
    await add(() => client.incr(counter));
    await add(async () => {
        const [added, read] = await client.transaction(counter);
        assert.strictEqual(String(added), read);
    });
    assert.strictEqual(await persist(() => client.get(key)), String(number));
}

async function main() {
    const package_ = load();
    console.log('state: ready');
    const client = await connect(package_);
    while (!stopping) {
        await round(client, told.rounds + 1);
        console.log(`round ${++told.rounds}`);
    }
    for (let number = 1; number <= told.rounds; number++)
        assert.strictEqual(await persist(() => client.get(`${library}:${mode}:${number}`)), String(number));
    console.log(`done rounds=${told.rounds} acked=${told.acked} uncertain=${told.uncertain}`);
    await client.quit();
    process.exit(0);
}

process.stdin.resume();
process.stdin.on('end', () => {
    stopping = true;
});
main().catch((error) => {
    console.error(error);
    process.exit(1);
});
