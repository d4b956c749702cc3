// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Records;

namespace PasidFramework.TestDrivers;

/// <summary>What makes it a plug-in.</summary>
[PasidAllocator("null-structures")]
internal sealed class PlainFactory : IPasidAllocatorFactory
{
    public IPasidAllocator Create(PasidRange range, ulong seed) => new LowestPasidAllocator(range);
}

/// <summary>A list with a hole.</summary>
[StructureProvider("null-structures")]
internal sealed class Structures : IStructureProvider
{
    public IReadOnlyList<Layout> Layouts { get; } =
        [new("null-structures/entry", 64, "the test", [LayoutField.Reserved(63, 0)]), null!];
}
