// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Hardware;
using PasidFramework.Results;

namespace PasidFramework.Comparison.Tests;

/// <summary>
/// A driver whose tables are one page for each block of 16 numbers and domain, kept until the domain goes, and whose
/// commands are easy to count: one for a device, one for an attach, two for a detach, three for an exit.
/// </summary>
internal sealed class FakeDriver(bool leaks = false, bool failsToStart = false) : IPasidDriver
{
    public IIommuHardware CreateHardware(IPhysicalMemory memory, HardwareSetup setup) =>
        setup.Options.ContainsKey("bad")
        ? throw new ArgumentException("option 'bad' is not known")
        : new FakeHardware(memory);

    public OpResult<IIommuUnit> CreateUnit(UnitSetup setup) => failsToStart
        ? OpResult<IIommuUnit>.Refuse(Errno.EINVAL, "option 'x' is not known")
        : OpResult<IIommuUnit>.Ok(new FakeUnit(setup, leaks));

    private sealed class FakeHardware(IPhysicalMemory memory) : IIommuHardware
    {
        public IPhysicalMemory Memory { get; } = memory;
        public IRegisterFile Registers => throw new NotSupportedException();
        public bool IsCoherent => true;
        public TranslationResult Translate(in DmaAccess access) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }

    private sealed class FakeUnit(UnitSetup setup, bool leaks) : IIommuUnit
    {
        private const int PageBytes = 4096;
        private readonly Dictionary<Domain, Dictionary<uint, ulong>> _leaves = [];
        private long _commands;
        public string Name => setup.Name;
        public int PasidBits => setup.PasidBits;
        public IReadOnlyList<Pasid> ReservedPasids { get; } = [new Pasid(0)];
        public PasidScope VendorScope => PasidScope.Domain;

        public UnitStatistics Statistics
        {
            get
            {
                int leaves = _leaves.Values.Sum(d => d.Count);
                return new UnitStatistics((long)leaves * PageBytes, leaves, _commands);
            }
        }

        public OpResult AddDomain(Domain domain)
        {
            _leaves[domain] = [];
            return OpResult.Ok;
        }

        public void RemoveDomain(Domain domain)
        {
            foreach (ulong leaf in leaks ? [] : _leaves[domain].Values.ToArray())
            {
                setup.Hardware.Memory.FreePages(leaf, PageBytes);
            }

            _leaves.Remove(domain);
        }

        public OpResult AddDevice(Device device)
        {
            _commands++;
            return OpResult.Ok;
        }

        public void RemoveDevice(Device device) => _commands++;

        public OpResult Attach(IommuContext context, Device device, bool first)
        {
            _commands++;
            if (context.Process.AddressSpace.Name == "nomem")
            {
                return OpResult.Refuse(Errno.ENOMEM, $"no leaf for {context.Pasid}");
            }

            Dictionary<uint, ulong> leaves = _leaves[context.Domain];
            uint block = context.Pasid.Value / 16;
            if (!leaves.ContainsKey(block))
            {
                leaves[block] = setup.Hardware.Memory.AllocatePages(PageBytes).Value;
            }

            return OpResult.Ok;
        }

        public OpResult Detach(IommuContext context, Device device, bool last)
        {
            _commands += 2;
            return OpResult.Ok;
        }

        public OpResult Exit(IommuContext context)
        {
            _commands += 3;
            return OpResult.Ok;
        }

        public OpResult Invalidate(IommuContext context, IovaRange range) => OpResult.Ok;

        public void Dispose()
        {
        }
    }
}
