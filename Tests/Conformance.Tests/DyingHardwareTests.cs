// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Conformance.Tests;

/// <summary>A machine that breaks down is no verdict on the driver, whenever it does.</summary>
public sealed class DyingHardwareTests
{
    [Theory]
    [InlineData("TRN-001"), InlineData("LIF-002"), InlineData("INV-003")]
    public void A_machine_that_dies_at_any_access_is_an_error_of_one_line(string id)
    {
        ConformanceCase one = ConformanceCatalogue.Cases.Single(c => c.Id == id);
        var whole = new DyingBackEnd(int.MaxValue);
        Assert.Equal(Verdict.Pass, Run(one, whole).Verdict);
        Assert.True(whole.Accesses > 20);

        for (int life = 0; life < whole.Accesses; life += 1 + (whole.Accesses / 40))
        {
            CaseResult result = Run(one, new DyingBackEnd(life));

            Assert.Equal((Verdict.Error, "the hardware broke down: it is gone"), (result.Verdict, result.Reason));
        }
    }

    private static CaseResult Run(ConformanceCase one, IHardwareBackEnd backEnd) => ConformanceRunner.RunCase(
        ReferenceSubject.Create(), one, backEnd, new RunOptions { Today = new DateOnly(2026, 1, 1) });

    private sealed class DyingBackEnd(int life) : IHardwareBackEnd
    {
        public int Accesses { get; private set; }
        public string Name => "dying";
        public string Architecture => ReferenceSubject.Model.Architecture;
        public string PageTables => ReferenceSubject.Model.PageTables;
        public string Limits => string.Empty;

        public OpResult<ITestHardware> Start(HardwareSetup setup) =>
            OpResult<ITestHardware>.Ok(new Machine(ReferenceSubject.Model.Start(setup).Value!, this));

        private void Spend()
        {
            if (Accesses++ >= life)
            {
                throw new HardwareException("it is gone");
            }
        }

        private sealed class Machine(ITestHardware inner, DyingBackEnd backEnd) : ITestHardware
        {
            public IReadOnlyList<RequesterId> Requesters => inner.Requesters;
            public TestHardwareTraits Traits => inner.Traits;
            public IReadOnlyDictionary<string, string> UnitOptions => inner.UnitOptions;
            public IPhysicalMemory Memory => inner.Memory;
            public IRegisterFile Registers => inner.Registers;
            public bool IsCoherent => inner.IsCoherent;
            public OpResult Prepare(RequesterId requester, Pasid pasid) => inner.Prepare(requester, pasid);
            public OpResult<ulong> AllocateTarget() => inner.AllocateTarget();
            public void FreeTarget(ulong address) => inner.FreeTarget(address);
            public bool NamesPasid(RequesterId requester, Pasid pasid) => inner.NamesPasid(requester, pasid);
            public IReadOnlyDictionary<string, ulong> TableRoots(RequesterId requester) => inner.TableRoots(requester);
            public IReadOnlyList<string> TakeViolations() => inner.TakeViolations();
            public void ForEachVisible(Action probe) => inner.ForEachVisible(probe);
            public void DropCaches() => inner.DropCaches();

            public TranslationResult Translate(in DmaAccess access)
            {
                backEnd.Spend();
                return inner.Translate(access);
            }

            public void Dispose() => inner.Dispose();
        }
    }
}
