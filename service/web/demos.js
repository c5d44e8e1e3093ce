// The simulated clips to try, with what their judges gave.

const DEMOS = {
  dive: { name: "dive.mp4", action: "diving", difficulty: "3.7", marks: "6 6.5 6.5 5.5 6.5 7 6.5" },
  vault: { name: "vault.mp4", action: "vault", difficulty: "5.8", marks: "8.2 8.2 8.1 8.2 8.3" },
};

// With its `file`; null if it cannot be loaded.
export async function loadDemo(which) {
  const demo = DEMOS[which];
  try {
    const response = await fetch(new URL(`demo/${demo.name}`, import.meta.url));
    return response.ok ? { ...demo, file: new File([await response.blob()], demo.name) } : null;
  } catch {
    return null;
  }
}
