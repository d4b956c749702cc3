// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>The formats that belong to CPUs and to no vendor of IOMMUs: a host offers them without a plug-in.</summary>
public static class CpuPageTables
{
    public static IReadOnlyList<RadixFormat> All { get; } =
    [
        ArmPageTables.Granule16K, ArmPageTables.Stage2Granule16K,
        ArmPageTables.Granule4K, ArmPageTables.Stage2Granule4K,
        ArmPageTables.Granule64K, ArmPageTables.Stage2Granule64K,
        RiscVPageTables.Sv39, RiscVPageTables.Sv48, RiscVPageTables.Sv57,
        VtdSecondStagePageTables.FourLevel, VtdSecondStagePageTables.ThreeLevel, VtdSecondStagePageTables.FiveLevel,
        X86PageTables.FourLevel, X86PageTables.FiveLevel,
    ];
}
