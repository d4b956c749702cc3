// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using Microsoft.Extensions.Logging.Abstractions;
using PasidFramework.Records;

namespace PasidFramework.Hosting.Tests;

/// <summary>What is loaded, and how. The numbers are those of the composition behaviours that design.md
/// lists.</summary>
public sealed class PluginCatalogTests : PluginTests
{
    private const int CollectionRounds = 50;

    [Fact]
    public void Behaviour_1_a_driver_lives_in_its_own_context_with_its_own_library()
    {
        string path = Folder.Add("Good");

        LoadedDriver driver = Assert.Single(Catalog.Drivers);
        Assert.Empty(Catalog.Refusals);
        Assert.Empty(Catalog.Warnings);
        Assert.Equal([Folder.Root], Catalog.SearchedDirectories);
        Assert.Equal(
            ("good", "good-table", 16, "Tests", 1, 0),
            (driver.Name, driver.Metadata.TableFormat, driver.Metadata.PasidBits, driver.Metadata.Vendor,
                driver.Metadata.ContractMajor, driver.Metadata.ContractMinor));
        Assert.Equal((path, new Version(1, 0, 0, 0)), (driver.Path, driver.AssemblyVersion));
        Assert.Equal(["good-table"], driver.TableFormats);
        Assert.Empty(driver.ImportedTableFormats);

        AssemblyLoadContext context = ContextOf(driver.Instance);
        Assert.NotSame(AssemblyLoadContext.Default, context);
        Assert.True(context.IsCollectible);

        // The library does its work in the driver's context.
        Assert.Equal("good-unit0", MakeUnit(driver).Name);
        Assert.Contains(context.Assemblies, loaded =>
            loaded.GetName().Name == "PasidFramework.TestDrivers.GoodLibrary");
        Assert.DoesNotContain(
            AssemblyLoadContext.Default.Assemblies,
            loaded => loaded.GetName().Name!.StartsWith("PasidFramework.TestDrivers", StringComparison.Ordinal));
    }

    [Fact]
    public void Behaviour_1_an_unloaded_driver_really_goes()
    {
        Folder.Add("Good");

        (WeakReference context, LoadedDriver kept) = UseAndUnload();

        AssertCollected(context);
        Assert.Empty(Catalog.Drivers);
        Assert.Empty(Catalog.TableFormats);
        Assert.Throws<ObjectDisposedException>(() => kept.Instance);
        OpResult again = Catalog.Unload("good");
        Assert.Equal(Errno.ENOENT, again.Errno);
        Assert.Equal("no driver 'good' is loaded; loaded are: none", again.Reason);
    }

    [Fact]
    public void Structures_models_readers_and_page_tables_are_collected_and_doubles_are_named()
    {
        string path = Folder.Add("Structures");

        Assert.Empty(Catalog.Refusals);
        Assert.True(Catalog.Structures.TryFind("pcie/ats_cap", out Layout? layout));
        Assert.Equal(16, layout.Bits);

        // Which of two classes of one name is taken is composition's choice; one is, and the other is named.
        Assert.NotEqual(Catalog.Structures.TryFind("test/entry", out _),
            Catalog.Structures.TryFind("test/more", out _));
        Assert.Equal(["test"], Catalog.Models.Keys);
        Assert.Equal(["test"], Catalog.TableReaders.Keys);
        Assert.Equal(["test"], Catalog.PageTables.Keys.Except(FrameworkPageTables.All.Keys));
        Assert.Contains($"{path}: structures 'test' not taken, it is there from {path}", Catalog.Warnings);
        Assert.Contains(
            $"{path}: page tables without a name (class PasidFramework.TestDrivers.NamelessPageTables)",
            Catalog.Warnings);
        if (Catalog.Structures.TryFind("test/entry", out _))
        {
            Assert.Contains($"{path}: structure 'pcie/ats_cap' not taken, it is there already", Catalog.Warnings);
        }
    }

    [Fact]
    public void Structures_of_an_unloaded_catalogue_are_gone_but_for_those_of_no_vendor()
    {
        Folder.Add("Structures");

        Catalog.Dispose();

        Assert.All(Catalog.Structures.All, layout => Assert.Contains(layout, PcieLayouts.All));
        Assert.Empty(Catalog.Models);
        Assert.Empty(Catalog.TableReaders);
        Assert.Equal(FrameworkPageTables.All.Keys.Order(), Catalog.PageTables.Keys.Order());
    }

    [Fact]
    public void Disposing_the_catalogue_unloads_every_context()
    {
        Folder.Add("Good");
        Folder.Add("ImportsFormats");
        Folder.Add("AllocatorOnly");
        Folder.Add("Structures");

        foreach (WeakReference context in UseAndDispose())
        {
            AssertCollected(context);
        }
    }

    [Fact]
    public void A_refused_plugin_leaves_no_context_behind()
    {
        string path = Folder.Add("ThrowingConstructor");

        Assert.Single(Catalog.Refusals);
        for (int round = 0; round < CollectionRounds && IsLoaded(path); round++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(IsLoaded(path));
    }

    [Fact]
    public void Behaviour_2_a_copy_of_the_contract_beside_the_driver_is_not_used_and_is_named()
    {
        string path = Folder.Add("BringsItsOwnCore");

        LoadedDriver driver = Assert.Single(Catalog.Drivers);
        Assert.Same(typeof(IPasidDriver).Assembly, driver.Instance.GetType().GetInterface("IPasidDriver")!.Assembly);
        string copy = Path.Combine(Path.GetDirectoryName(path)!, "PasidFramework.Core.dll");
        Assert.Contains($"{copy}: the host shares its own PasidFramework.Core; this copy is not used",
            Catalog.Warnings);
    }

    [Fact]
    public void Behaviours_5_and_6_one_instance_of_a_table_format_serves_everyone()
    {
        Folder.Add("Good");
        Folder.Add("ImportsFormats");

        Assert.Same(Catalog.Find("borrowing").Value!.Instance, Catalog.Find("borrowing").Value!.Instance);
        object borrowing = Catalog.Find("borrowing").Value!.Instance;
        Assert.Same(Catalog.TableFormats["good-table"], Property(borrowing, "Required"));
        Assert.Same(Catalog.TableFormats["good-table"], Property(borrowing, "Optional"));
    }

    [Fact]
    public void Behaviour_9_parts_need_not_be_public()
    {
        Folder.Add("Good");

        Assert.False(Assert.Single(Catalog.Drivers).Instance.GetType().IsPublic);
    }

    [Fact]
    public void Behaviour_14_the_metadata_view_is_a_concrete_class_that_composition_can_fill()
    {
        Assert.False(typeof(DriverMetadata).IsAbstract);
        Assert.NotNull(typeof(DriverMetadata).GetConstructor([]));
        Assert.All(typeof(DriverMetadata).GetProperties(), property => Assert.True(property.SetMethod?.IsPublic));

        // Every key of the view is one that the attribute always supplies (12, 13).
        Assert.All(
            typeof(DriverMetadata).GetProperties(),
            property => Assert.Equal(
                property.PropertyType, typeof(PasidDriverAttribute).GetProperty(property.Name)?.PropertyType));
    }

    [Fact]
    public void Behaviour_18_host_services_and_foreign_table_formats_reach_properties_and_constructors()
    {
        Folder.Add("Good", "z-good"); // Composed on demand: its importer comes first.
        Folder.Add("ImportsFormats", "a-imports");
        using NullLoggerFactory logs = new();
        FixedTime time = new();
        using PluginCatalog catalog = Folder.Load(new PluginHostServices { LoggerFactory = logs, Time = time });

        Assert.Empty(catalog.Refusals);
        LoadedDriver borrowing = catalog.Find("borrowing").Value!;
        Assert.Equal(["good-table"], borrowing.ImportedTableFormats);
        Assert.Same(logs, Property(borrowing.Instance, "Logs"));
        Assert.Same(time, Property(borrowing.Instance, "Time"));
        Assert.NotNull(Property(borrowing.Instance, "Required"));
        Assert.Same(Property(borrowing.Instance, "Required"), Property(borrowing.Instance, "Optional"));
        Assert.Null(Property(borrowing.Instance, "Absent"));
    }

    [Fact]
    public void Page_tables_and_readers_of_other_plug_ins_are_imported_by_prefix_and_name()
    {
        Folder.Add("Good");
        Folder.Add("ImportsFormats", "a-imports");
        Folder.Add("Structures", "z-structures"); // Composed on demand: its importer comes first.

        Assert.Empty(Catalog.Refusals);
        LoadedDriver borrowing = Catalog.Find("borrowing").Value!;
        Assert.Same(Catalog.PageTables["test"], Property(borrowing.Instance, "Pages"));
        Assert.Null(Property(borrowing.Instance, "AbsentPages"));
        Assert.Same(Catalog.TableReaders["test"], Property(borrowing.Instance, "Reader"));
        Assert.Null(Property(borrowing.Instance, "AbsentReader"));
        Assert.Equal(["good-table", "page-table/test", "table-reader/test"], borrowing.ImportedTableFormats);
    }

    [Fact]
    public void Page_tables_of_CPUs_need_no_plug_in() =>
        Assert.Equal(
            [
                "arm-lpae-16k", "arm-lpae-16k-stage2", "arm-lpae-4k", "arm-lpae-4k-stage2", "arm-lpae-64k",
                "arm-lpae-64k-stage2", "riscv-sv39", "riscv-sv48", "riscv-sv57", "vtd-second-stage",
                "vtd-second-stage-3level", "vtd-second-stage-5level", "x86-64", "x86-64-5level",
            ],
            Catalog.PageTables.Keys.Order(StringComparer.Ordinal));

    [Fact]
    public void Page_table_formats_that_no_part_has_stay_null()
    {
        Folder.Add("Good");
        Folder.Add("ImportsFormats");

        Assert.Empty(Catalog.Refusals);
        LoadedDriver borrowing = Catalog.Find("borrowing").Value!;
        Assert.Null(Property(borrowing.Instance, "Pages"));
        Assert.Same(Catalog.PageTables["x86-64"], Property(borrowing.Instance, "CpuPages"));
        Assert.Equal(["good-table"], borrowing.ImportedTableFormats);
    }

    [Fact]
    public void A_borrowed_table_format_writes_a_table()
    {
        Folder.Add("Good");
        SystemMemory memory = new();

        OpResult<IPasidTable> table = Catalog.TableFormats["good-table"].Create(memory, 4, new SilentSync());
        Assert.True(table.IsOk, table.Reason);
        Assert.True(table.Value.Set(new Pasid(15), new PasidTableEntry(0x1000, 0)).IsOk);
        Assert.Equal(0x1001UL, memory.ReadQword(table.Value.AttachParameters["Base"] + (15 * 8)));
        Assert.Equal(Errno.EINVAL, table.Value.Set(new Pasid(16), new PasidTableEntry(0x1000, 0)).Errno);
        table.Value.Dispose();
        Assert.Equal(0, memory.AllocatedBytes);
    }

    [Fact]
    public void Behaviours_19_and_20_unloading_disposes_shared_and_unshared_parts()
    {
        string path = Folder.Add("Good");
        Assert.Empty(Catalog.Refusals);
        Assert.Null(AppContext.GetData($"{path}#GoodDriver"));
        Assert.Null(AppContext.GetData($"{path}#GoodTableFormat"));

        Assert.True(Catalog.Unload("good").IsOk);

        Assert.Equal("disposed", AppContext.GetData($"{path}#GoodDriver"));
        Assert.Equal("disposed", AppContext.GetData($"{path}#GoodTableFormat"));
    }

    [Fact]
    public void A_driver_whose_table_format_is_in_use_is_not_unloaded()
    {
        Folder.Add("Good");
        Folder.Add("ImportsFormats");

        OpResult refused = Catalog.Unload("good");
        Assert.Equal(Errno.EBUSY, refused.Errno);
        Assert.Equal("driver 'good' cannot be unloaded: driver 'borrowing' uses its table format 'good-table'",
            refused.Reason);
        Assert.Equal(["borrowing", "good"], Catalog.Drivers.Select(driver => driver.Name));

        Assert.True(Catalog.Unload("borrowing").IsOk);
        Assert.True(Catalog.Unload("good").IsOk);
        Assert.Empty(Catalog.Drivers);
    }

    [Fact]
    public void A_driver_that_is_copied_loose_into_the_directory_appears()
    {
        string path = Folder.AddLoose("ThrowingConstructor");
        string good = Folder.AddLoose("Good");
        Folder.AddLoose("GoodLibrary"); // Referenced by a loose plug-in, so nothing is expected of it.

        LoadedDriver driver = Assert.Single(Catalog.Drivers);
        Assert.Equal(("good", good), (driver.Name, driver.Path));
        Assert.Equal("good-unit0", MakeUnit(driver).Name);
        Assert.Equal(path, Assert.Single(Catalog.Refusals).Path);
    }

    [Fact]
    public void A_plugin_may_bring_an_allocation_policy_only()
    {
        Folder.Add("AllocatorOnly");

        Assert.Empty(Catalog.Refusals);
        Assert.Empty(Catalog.Drivers);
        IPasidAllocator odd = Assert.Single(Catalog.Allocators).Value.Create(new PasidRange(2, 5), seed: 1);
        Assert.Equal("odd", Assert.Single(Catalog.Allocators).Key);
        PasidRequest request = new(PasidRange.Full);
        Assert.Equal(
            [PasidAllocation.Of(3), PasidAllocation.Of(5), PasidAllocation.None(PasidAllocationStatus.NoSpace)],
            [odd.Allocate(request), odd.Allocate(request), odd.Allocate(request)]);
    }

    [Fact]
    public void A_folder_with_several_assemblies_and_one_export_is_one_plugin()
    {
        Folder.Add("Good");
        File.Copy(
            Path.Combine(PluginFolder.Built("NoExport"), PluginFolder.FileName("NoExport")),
            Path.Combine(Folder.Root, "Good", "unused.dll"));

        AssertLoaded("good");
        Assert.Empty(Catalog.Refusals);
    }

    [Fact]
    public void Directories_are_searched_once_each_and_a_missing_one_is_a_line()
    {
        Folder.Add("Good");
        string absent = Path.Combine(Folder.Root, "absent");
        string file = Folder.AddFile("Good/readme.txt", []);
        using PluginCatalog catalog = PluginCatalog.Load([Folder.Root, absent, Folder.Root + "/", file]);

        Assert.Single(catalog.Drivers);
        Assert.Equal(
            [(file, "is a file, not a directory of plug-ins"), (absent, "no such directory")],
            catalog.Refusals.Select(refusal => (refusal.Path, refusal.Message)));
        Assert.All(catalog.Refusals, refusal => Assert.Equal(RefusalReason.DirectoryUnreadable, refusal.Reason));
        Assert.Equal($"no driver 'x' is loaded; loaded are: good", catalog.Find("x").Reason);
    }

    [Fact]
    public void A_loaded_file_can_be_replaced()
    {
        string path = Folder.Add("Good");
        Assert.Empty(Catalog.Refusals);

        // A new file under the old name, as package managers and `install` write it.
        string next = Folder.AddFile("next.tmp", File.ReadAllBytes(path));
        File.Move(next, path, overwrite: true);
        File.Delete(path);

        Assert.Equal("good-unit0", MakeUnit(Assert.Single(Catalog.Drivers)).Name);
    }

    private static IIommuUnit MakeUnit(LoadedDriver driver)
    {
        SystemMemory memory = new();
        IIommuHardware hardware = driver.Instance.CreateHardware(memory, new HardwareSetup());
        OpResult<IIommuUnit> unit = driver.Instance.CreateUnit(new UnitSetup { Name = "unit0", Hardware = hardware });
        Assert.True(unit.IsOk, unit.Reason);
        return unit.Value;
    }

    private static AssemblyLoadContext ContextOf(object instance) =>
        AssemblyLoadContext.GetLoadContext(instance.GetType().Assembly)!;

    private static object? Property(object instance, string name) => instance.GetType()
        .GetProperty(name)!.GetValue(instance);

    private static bool IsLoaded(string path) => AssemblyLoadContext.All.Any(context => context.Name == path);

    // A frame of its own: the caller's must not keep what it used alive.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private (WeakReference Context, LoadedDriver Kept) UseAndUnload()
    {
        LoadedDriver driver = Catalog.Find("good").Value!;
        using IIommuUnit unit = MakeUnit(driver);
        Assert.Equal("good-unit0", unit.Name);
        AssemblyLoadContext loaded = ContextOf(driver.Instance);
        bool unloading = false;
        loaded.Unloading += _ => unloading = true;
        Assert.True(Catalog.Unload("good").IsOk);
        Assert.True(unloading, "the context was not asked to unload");
        return (new WeakReference(loaded, trackResurrection: true), driver);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private WeakReference[] UseAndDispose()
    {
        using PluginCatalog catalog = Folder.Load();
        Assert.Empty(catalog.Refusals);
        return
        [
            .. catalog.Drivers.Select(driver => new WeakReference(ContextOf(driver.Instance), trackResurrection: true)),
            .. catalog.Allocators.Values.Select(made => new WeakReference(ContextOf(made), trackResurrection: true)),
        ];
    }

    private static void AssertCollected(WeakReference context)
    {
        for (int round = 0; round < CollectionRounds && context.IsAlive; round++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(context.IsAlive, "the load context is still referenced");
    }

    private sealed class FixedTime : TimeProvider;

    private sealed class SilentSync : IPasidTableSync
    {
        public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly) => OpResult.Ok;
        public OpResult TranslationsChanged(Pasid pasid, uint archId) => OpResult.Ok;
    }
}
