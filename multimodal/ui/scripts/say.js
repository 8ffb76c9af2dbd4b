// How shares and sentences are written, put before the scripts that say something.

const percent = (share) => (100 * share).toFixed(share < 0.0995 ? 1 : 0) + " %";
const fill = (text, values) => text.replace(/{(\w+)}/g, (_, name) => values[name]);

