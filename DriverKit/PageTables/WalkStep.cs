// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>An entry that a walk needs.</summary>
/// <param name="Address">Byte address of the entry.</param>
/// <param name="Level">Level of its table, 1 the lowest.</param>
/// <param name="Input">The address that is translated.</param>
public readonly record struct WalkStep(ulong Address, int Level, ulong Input);
