// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit;

/// <summary>One store, flush or barrier of the driver as it asked for it.</summary>
/// <param name="Number">Its number among those of its kind, from 0.</param>
/// <param name="Value">The 64-bit word that a store makes (merged, for a smaller one); the bytes of a flush.</param>
public readonly record struct DriverAction(MemoryEventKind Kind, int Number, ulong Address, ulong Value);
