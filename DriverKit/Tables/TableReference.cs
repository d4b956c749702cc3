// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tables;

/// <summary>A table that an entry, or a register, leads to.</summary>
/// <param name="Level">What it is.</param>
/// <param name="Address">Byte address of its first entry, a multiple of an entry's size.</param>
/// <param name="Entries">How many there are.</param>
/// <param name="First">Number of the first one.</param>
/// <param name="Requester">The device that it belongs to; null for none, or where the entries are devices.</param>
public sealed record TableReference(
    TableLevel Level, ulong Address, long Entries, long First = 0, RequesterId? Requester = null);
