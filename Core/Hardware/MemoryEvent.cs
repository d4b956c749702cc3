// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>One thing that a driver did to memory.</summary>
/// <param name="Index">Its number, from 0, counted over all kinds since the memory was made.</param>
/// <param name="Kind">What.</param>
/// <param name="Address">Byte address; 0 for a barrier.</param>
/// <param name="Bytes">Length; 8 for a store, 0 for a barrier.</param>
/// <param name="Value">The whole word as it is after a store; 0 for all others.</param>
public readonly record struct MemoryEvent(long Index, MemoryEventKind Kind, ulong Address, int Bytes, ulong Value);

/// <summary>Receives the words of one torn read.</summary>
/// <param name="words">What a walker may have read; valid during the call.</param>
public delegate void WordsSeen(ReadOnlySpan<ulong> words);
