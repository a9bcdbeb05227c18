// The files in what was dropped, folders and their subfolders too; what is no photo by its name is counted, not sent.

/** @typedef {{photos: File[], ignored: number}} Found */

/**
 * Return what is in a drop. Must be called while the event is handled: afterwards the browser has forgotten it.
 * @param {DataTransfer} transfer
 * @param {ReadonlySet<string>} endings
 * @returns {Promise<Found>}
 */
export async function dropped(transfer, endings) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry != null);
  const plain = [...transfer.files];
  if (entries.length === 0) return sorted(plain, endings);
  const lists = await Promise.all(entries.map(filesOf));
  return sorted(lists.flat(), endings);
}

/**
 * Return photos and how many files are none; a single file is the server's to judge, whatever it is called.
 * @param {File[]} files
 * @param {ReadonlySet<string>} endings
 * @returns {Found}
 */
export function sorted(files, endings) {
  if (files.length === 1) return { photos: files, ignored: 0 };
  const photos = files.filter((file) => !file.name.startsWith(".") && endings.has(ending(file.name)));
  return { photos, ignored: files.length - photos.length };
}

/** @param {string} name */
function ending(name) {
  return name.slice(name.lastIndexOf(".") + 1).toLowerCase();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = /** @type {FileSystemFileEntry} */ (entry);
    return [await new Promise((resolve, reject) => file.file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const lists = [];
  for (;;) { // a reader gives a hundred at a time, and none at the end
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return lists.flat();
    lists.push(...(await Promise.all(some.map(filesOf))));
  }
}
