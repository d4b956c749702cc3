// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>
/// One address space as the IOMMU core tracks it: one per address space, system-wide. Created, published when complete,
/// dying, gone: the last <see cref="Put"/> has the drivers' records freed after a grace period. Only the core makes
/// one, and uses it again for another address space after that: it is not to be kept beyond a reference.
/// </summary>
public abstract class IommuProcess
{
    private protected IommuProcess(IAddressSpace addressSpace) => AddressSpace = addressSpace;
    public IAddressSpace AddressSpace { get; internal set; }

    /// <summary>Physical byte address of its top page table.</summary>
    public ulong PageTableRoot => AddressSpace.PageTableRoot;

    /// <summary>Where it is in its life; a snapshot.</summary>
    public ProcessState State { get; internal set; }

    /// <summary>References now; a snapshot for tests and messages.</summary>
    public abstract int ReferenceCount { get; }

    /// <summary>Gives back a reference that a lookup took.</summary>
    /// <exception cref="InvalidOperationException">More references are given back than were taken.</exception>
    public abstract void Put();

    /// <summary>The address space's id, pid and name.</summary>
    public sealed override string ToString() => Text(
        $"{AddressSpace.Id} ({AddressSpace.Name}, pid {AddressSpace.Pid})");
}
