// The builds that tests go through: all, or those that MILLRACE_BUILDS names ("simd", "simd,scalar").

import type { KernelBuild } from "./build.js";

const ALL: readonly KernelBuild[] = ["simd", "scalar", "threads"];
const asked = process.env.MILLRACE_BUILDS?.split(",");

export const BUILDS: readonly KernelBuild[] = asked ? ALL.filter((build) => asked.includes(build)) : ALL;
