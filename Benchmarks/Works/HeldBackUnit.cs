// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Works;

/// <summary>A link that a core made, and the unit it is of.</summary>
internal readonly record struct HeldLink(IIommuUnit Unit, IommuContext Context, Device Device);

/// <summary>
/// A unit that keeps attaches and detaches from the real one and notes their links: so the real one can be called with
/// what only a core makes, and without the core.
/// </summary>
internal sealed class HeldBackUnit(IIommuUnit real, List<HeldLink> links) : IIommuUnit
{
    public string Name => real.Name;
    public int PasidBits => real.PasidBits;
    public IReadOnlyList<Pasid> ReservedPasids => real.ReservedPasids;
    public PasidScope VendorScope => real.VendorScope;
    public UnitStatistics Statistics => real.Statistics;
    public OpResult AddDomain(Domain domain) => real.AddDomain(domain);
    public void RemoveDomain(Domain domain) => real.RemoveDomain(domain);
    public OpResult AddDevice(Device device) => real.AddDevice(device);
    public void RemoveDevice(Device device) => real.RemoveDevice(device);
    public OpResult<object?> AllocateProcess(IommuProcess process) => real.AllocateProcess(process);

    public void FreeProcess(IommuProcess process, object? driverProcess) =>
        real.FreeProcess(process, driverProcess);

    public OpResult Attach(IommuContext context, Device device, bool first)
    {
        links.Add(new HeldLink(real, context, device));
        return OpResult.Ok;
    }

    public OpResult Detach(IommuContext context, Device device, bool last) => OpResult.Ok;
    public OpResult Exit(IommuContext context) => OpResult.Ok;
    public OpResult Invalidate(IommuContext context, IovaRange range) => OpResult.Ok;
    public void Dispose() => real.Dispose();
}
