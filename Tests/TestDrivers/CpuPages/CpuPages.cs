// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>Page tables whose name is taken.</summary>
[PasidAllocator("of-cpupages")]
[PageTableFormat("x86-64")]
internal sealed class CpuPages() : MinimalPageTables("x86-64");
