// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tables;

/// <summary>An entry as it was read.</summary>
/// <param name="Address">Its byte address.</param>
/// <param name="Number">Its number, counted from the table's first one.</param>
/// <param name="Requester">The device that it belongs to.</param>
public sealed record TableEntry(ulong[] Words, ulong Address, long Number, RequesterId? Requester);
