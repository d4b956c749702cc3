// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit.Tables;

/// <summary>An entry as a walker understands it; root and tag where it is valid.</summary>
public readonly record struct PasidEntryView(PasidEntryKind Kind, ulong Root = 0, uint Tag = 0);

/// <summary>Finds and decodes an entry by the specification, without the driver's code.</summary>
/// <param name="memory">Memory as some walker sees it; addresses outside of it throw.</param>
/// <param name="pasid">Below the table's width.</param>
/// <returns>Malformed where any bit is not what the format demands.</returns>
public delegate PasidEntryView PasidEntryDecoder(
    IMemoryReader memory, IReadOnlyDictionary<string, ulong> attach, uint pasid);
