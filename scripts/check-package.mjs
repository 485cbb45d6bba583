// Packs the package, installs the tarball into an empty project and uses it there as a stranger would:
// runs the README's examples as ES modules, type-checks them strictly (lib ES2022, skipLibCheck off for
// our own types), loads it from CommonJS, bundles it for a page (check-bundles.ts), and asks the command for help.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const project = mkdtempSync(join(tmpdir(), "millrace-package-"));
const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
const versionOf = (name) => lock.packages[`node_modules/${name}`].version;

function run(command, args, options = {}) {
  return execFileSync(command, args, {
    cwd: project,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    ...options,
  });
}

/** The README's TypeScript code blocks, in order. */
function readmeExamples() {
  const text = readFileSync(join(root, "README.md"), "utf8");
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
}

/** The same program as CommonJS: an ES module is reached by `import()` there, on every Node. */
function asCommonJs(source) {
  const body = source.replace(/^import (\{[^}]*\}) from ("[^"]*");$/gm, "const $1 = await import($2);");
  return `(async () => {\n${body}\n})();\n`;
}

try {
  run("npm", ["pack", "--silent", "--pack-destination", project], { cwd: root });
  const tarball = readdirSync(project).find((file) => file.endsWith(".tgz"));
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "empty", private: true, type: "module" }),
  );
  run("npm", [
    "install",
    "--silent",
    "--no-audit",
    "--no-fund",
    `./${tarball}`,
    `apache-arrow@${versionOf("apache-arrow")}`,
  ]);

  const examples = readmeExamples();
  if (examples.length < 2)
    throw new Error(`README.md: expected two examples in TypeScript, found ${examples.length}`);
  examples.forEach((source, index) => {
    writeFileSync(join(project, `example-${index}.ts`), source);
    writeFileSync(join(project, `example-${index}.mjs`), source);
    const printed = run(process.execPath, [`example-${index}.mjs`]);
    if (printed.trim() === "") throw new Error(`README example ${index + 1} printed nothing`);
    console.log(`README example ${index + 1}:\n${printed.trimEnd()}`);
    writeFileSync(join(project, `example-${index}.cjs`), asCommonJs(source));
    if (run(process.execPath, [`example-${index}.cjs`]) !== printed) {
      throw new Error(`README example ${index + 1} prints something else from CommonJS`);
    }
  });

  writeFileSync(
    join(project, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        target: "ES2022",
        lib: ["ES2022", "DOM"],
        module: "NodeNext",
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        types: [],
      },
      include: ["*.ts"],
    }),
  );
  writeFileSync(
    join(project, "types.ts"),
    'import { Engine, from, type MillraceError } from "millrace";\nimport { Kernel } from "millrace/kernel";\n' +
      "export const used = [Engine, from, Kernel] as const;\nexport type Used = MillraceError;\n",
  );
  run(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json", "--skipLibCheck"],
    {
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  // Our own declarations alone, checked in full.
  const kernelOnly = mkdtempSync(join(project, "strict-"));
  symlinkSync(join(project, "node_modules"), join(kernelOnly, "node_modules"));
  writeFileSync(join(kernelOnly, "kernel.ts"), 'export { Kernel } from "millrace/kernel";\n');
  run(
    process.execPath,
    [
      join(root, "node_modules/typescript/bin/tsc"),
      "--ignoreConfig",
      "--noEmit",
      "--strict",
      "--target",
      "ES2022",
      "--lib",
      "ES2022,DOM",
      "--module",
      "NodeNext",
      "--types",
      "",
      "kernel.ts",
    ],
    { cwd: kernelOnly, stdio: ["ignore", "inherit", "inherit"] },
  );
  console.log("types: strict");

  writeFileSync(
    join(project, "common.cjs"),
    'import("millrace").then(({ Engine }) => Engine.open()).then(async (engine) => {\n' +
      '  console.log("CommonJS by import(): engine open"); await engine.close();\n});\n',
  );
  process.stdout.write(run(process.execPath, ["common.cjs"]));
  const requires = process.features.require_module === true;
  if (requires) {
    writeFileSync(
      join(project, "require.cjs"),
      'console.log("CommonJS by require():", typeof require("millrace").Engine);\n',
    );
    process.stdout.write(run(process.execPath, ["require.cjs"]));
  }
  const bundles = [join(root, "scripts/check-bundles.ts"), project];
  process.stdout.write(run(process.execPath, [join(root, "node_modules/tsx/dist/cli.mjs"), ...bundles]));
  const help = run("npx", ["--no-install", "millrace", "--help"]);
  if (!help.includes("bench")) throw new Error("millrace --help does not mention bench");
  const figures = run("npx", [
    "--no-install",
    "millrace",
    "bench",
    "groupby/q5",
    "--rows",
    "100k",
    "--runs",
    "1",
    "--peers",
    "none",
  ]);
  if (!figures.includes("groupby/q5")) throw new Error(`millrace bench printed no figure:\n${figures}`);
  console.log(figures.trimEnd());
} finally {
  rmSync(project, { recursive: true, force: true });
}
