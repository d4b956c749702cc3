using PasidFramework.Processes;

namespace PasidFramework.Drivers;

/// <summary>One address space as the IOMMU core tracks it. There is one per address space, system-wide.</summary>
public sealed class IommuProcess
{
    internal IommuProcess(IAddressSpace addressSpace) => AddressSpace = addressSpace;

    /// <summary>The address space.</summary>
    public IAddressSpace AddressSpace { get; }

    /// <summary>Physical byte address of its top page table.</summary>
    public ulong PageTableRoot => AddressSpace.PageTableRoot;
}
