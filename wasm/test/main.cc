// Runs the native tests, or those whose name contains the first argument.
#include <chrono>
#include <cstring>

#include "check.h"

namespace shibumi::test {

Case*& Case::first() {
  static Case* list = nullptr;
  return list;
}

Case::Case(const char* case_name, void (*body)()) : name(case_name), run(body), next(first()) { first() = this; }

}  // namespace shibumi::test

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  int count = 0;
  for (shibumi::test::Case* test = shibumi::test::Case::first(); test != nullptr; test = test->next) {
    if (argc > 1 && std::strstr(test->name, argv[1]) == nullptr) continue;
    std::printf("%s", test->name);
    std::fflush(stdout);
    const auto started = Clock::now();
    test->run();
    std::printf(" (%.1f s)\n", std::chrono::duration<double>(Clock::now() - started).count());
    count++;
  }
  std::printf("%d native tests passed\n", count);
  return count > 0 ? 0 : 1;
}
