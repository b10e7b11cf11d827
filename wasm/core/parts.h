// What of the core a module has. Every space has an instance of its own, so a page downloads only what its spaces need.
// tools/build-wasm.mjs makes three kinds of module:
//
//   whole      everything: what spaces need that one of the others does not serve, and whoever names one module for all
//   vector     vector spaces over L2, inner product or cosine, scanned or by a graph, over originals or SQ8
//   key-value  key-value spaces: the border to vectors is left out, and the linker drops what nothing calls
//
// What is asked for the rest answers kOtherCore, so that the host opens the space with the whole core. Conditions on kWhole are
// constants: what hangs on them alone is not in the module.
#pragma once

namespace shibumi {

#if defined(SHIBUMI_VECTOR_CORE)
constexpr bool kWhole = false;
#else
constexpr bool kWhole = true;
#endif

}  // namespace shibumi
