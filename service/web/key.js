// The API key: asked for when the service wants one, kept in this page's memory only.

const $ = (id) => document.getElementById(id);

// What `call` returns, asked again with another key as long as the service refuses the key.
export async function withKey(client, call, signal = null) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 401 || signal?.aborted || !(await askForKey(client))) throw error;
    }
  }
}

function askForKey(client) {
  const dialog = $("key-dialog");
  $("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "use") client.key = $("key").value;
      $("key").value = "";
      resolve(dialog.returnValue === "use");
    }, { once: true });
  });
}
