// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>Page tables whose name is taken.</summary>
[PasidAllocator("of-secondpages")]
[PageTableFormat("test")]
internal sealed class SecondPages() : MinimalPageTables("test");
