// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Queues;

/// <summary>Where a <see cref="CommandRing"/> lies and what its architecture says about filling it.</summary>
/// <param name="Address">Physical byte address of the first place.</param>
/// <param name="SlotsLog2">log2 of its places, 0 to 24.</param>
/// <param name="CommandWords">64-bit words of a command: 1, 2 or 4.</param>
/// <param name="CanFill">Whether every place may be in use (positions have a wrap bit); else one stays free.</param>
/// <param name="IsWhole">Whether a submission is written as one piece with its closing command, or in the parts for
/// which there is room.</param>
public readonly record struct CommandRingShape(
    ulong Address, int SlotsLog2, int CommandWords, bool CanFill, bool IsWhole);
