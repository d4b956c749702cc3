// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using PasidFramework.DriverKit.PageTables;
using PasidFramework.Drivers.VirtioIommu.Reader;
using PasidFramework.Drivers.VirtioIommu.Unit;

namespace PasidFramework.Drivers.VirtioIommu;

/// <summary>The virtio-iommu driver: the standard's requests alone (dialect map), and PASID tables in SMMUv3 format by
/// the proposals v0.9-devel and vsmmu where the device offers them.</summary>
/// <remarks>Specification: OASIS virtio 1.2 to 1.4, IOMMU device, over virtio-mmio (virtio 1.2 section 4.2). No version
/// of the standard has PASIDs; see README.md for the proposals.</remarks>
[PasidDriver(
    "virtio-iommu",
    "virtio-iommu",
    Pasid.MaxBits,
    Vendor = "OASIS",
    Capabilities = DriverCapabilities.Ats
        | DriverCapabilities.NonCoherent
        | DriverCapabilities.FaultRecords
        | DriverCapabilities.OwnAllocator)]
public sealed class VirtioIommuDriver : IPasidDriver
{
    /// <summary>The format of the tables that are attached, by the name under which a plug-in exports its
    /// writer.</summary>
    public const string TableFormatName = AttachedStructures.FormatName;

    /// <summary>The writer of SMMUv3 PASID tables; null where no plug-in exports it. Whose assembly it is, this driver
    /// never learns.</summary>
    [Import(TableFormatName, AllowDefault = true)]
    public IPasidTableFormat? ArmSmmuV3Format { get; set; }

    /// <summary>Reads such tables for the stand-in hardware, which attaches none without it.</summary>
    [Import(VirtioTableReader.ArmReader, AllowDefault = true)]
    public ITableReader? ArmSmmuV3Reader { get; set; }

    /// <remarks>Options: <c>dialect</c> = <c>none</c>, <c>v0.9-devel</c> (default) or <c>vsmmu</c>; <c>bypass</c> =
    /// <c>on</c> or <c>off</c> (default): what endpoints without a domain may do; <c>endpoints</c> = a comma-separated
    /// list (all by default); <c>input-bits</c> = 12 to 63: width of addresses (INPUT_RANGE; unlimited by
    /// default).</remarks>
    /// <exception cref="ArgumentException">An option or its value is not known, or the width is not 0 to
    /// 20.</exception>
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) =>
        new VirtioIommuHardware(memory, setup, ArmSmmuV3Reader);

    /// <remarks>Options: <c>dialect</c> = <c>none</c>, <c>v0.9-devel</c> (default) or <c>vsmmu</c>: the proposal that
    /// is spoken if the device offers it; <c>map</c>: the standard alone, a process a domain; <c>pages</c> =
    /// <c>x86-64</c> (default) or <c>arm-lpae-4k</c>: the processes' page tables, for map; <c>probe-endpoint</c> = the
    /// endpoint that is asked for the PASID width (0 by default).</remarks>
    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup)
    {
        ArgumentNullException.ThrowIfNull(setup);
        OpResult<UnitOptions> options = UnitOptions.Read(setup);
        return !options.IsOk ? OpResult<IIommuUnit>.Refuse(options.Outcome)
            : options.Value.PageTables is { } pages
                ? MapUnit.Start(setup, pages == UnitOptions.Arm ? ArmPageTables.Granule4K : X86PageTables.FourLevel)
                : VirtioIommuUnit.Start(setup, ArmSmmuV3Format);
    }
}
