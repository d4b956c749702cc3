// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using System.Reflection;
using System.Reflection.Emit;

namespace PasidFramework.Hosting.Tests;

/// <summary>
/// Another version of the contract's assembly, with the same names and another shape: what a plug-in was compiled
/// against that comes from another release of the framework.
/// </summary>
internal sealed class OtherContract : IDisposable
{
    /// <summary>A property of its attributes that the host's do not have.</summary>
    public const string LaterProperty = "AddedLater";

    private readonly MetadataLoadContext _context;

    public OtherContract(string folder, Version version, string[] driverMethods)
    {
        PersistedAssemblyBuilder core = new(
            new AssemblyName("PasidFramework.Core") { Version = version }, typeof(object).Assembly);
        ModuleBuilder module = core.DefineDynamicModule("PasidFramework.Core");
        TypeBuilder driver = DefineInterface(module, "PasidFramework.Contracts.IPasidDriver");
        foreach (string method in driverMethods)
        {
            driver.DefineMethod(
                method,
                MethodAttributes.Public | MethodAttributes.Abstract | MethodAttributes.Virtual
                | MethodAttributes.HideBySig | MethodAttributes.NewSlot,
                typeof(void),
                []);
        }

        driver.CreateType();
        DefineInterface(module, "PasidFramework.Contracts.IPasidTableFormat").CreateType();
        DefineInterface(module, "PasidFramework.Allocation.IPasidAllocatorFactory").CreateType();
        DefineAttribute(module, "PasidFramework.Contracts.PasidDriverAttribute",
            [typeof(string), typeof(string), typeof(int)]);
        DefineAttribute(module, "PasidFramework.Contracts.PasidTableFormatAttribute", [typeof(string)]);
        DefineAttribute(module, "PasidFramework.Allocation.PasidAllocatorAttribute", [typeof(string)]);
        string path = Path.Combine(folder, "PasidFramework.Core.dll");
        core.Save(path);

        string trusted = (string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!;
        IEnumerable<string> others = trusted.Split(Path.PathSeparator)
            .Where(file => Path.GetFileName(file) != "PasidFramework.Core.dll");
        _context = new MetadataLoadContext(
            new PathAssemblyResolver([.. others, path]), typeof(object).Assembly.GetName().Name);
        Assembly made = _context.LoadFromAssemblyPath(path);
        Contract = new EmittedAssembly.Contract(
            _context.CoreAssembly!,
            _context.CoreAssembly!.GetType("System.Object")!,
            made.GetType("PasidFramework.Contracts.IPasidDriver")!,
            made.GetType("PasidFramework.Contracts.PasidDriverAttribute")!.GetConstructors().Single(),
            made.GetType("PasidFramework.Contracts.IPasidTableFormat")!,
            made.GetType("PasidFramework.Contracts.PasidTableFormatAttribute")!.GetConstructors().Single(),
            made.GetType("PasidFramework.Allocation.IPasidAllocatorFactory")!,
            made.GetType("PasidFramework.Allocation.PasidAllocatorAttribute")!.GetConstructors().Single());
    }

    public EmittedAssembly.Contract Contract { get; }
    public void Dispose() => _context.Dispose();

    private static TypeBuilder DefineInterface(ModuleBuilder module, string name) => module.DefineType(
        name, TypeAttributes.Public | TypeAttributes.Interface | TypeAttributes.Abstract);

    private static void DefineAttribute(ModuleBuilder module, string name, Type[] parameters)
    {
        TypeBuilder type =
            module.DefineType(name, TypeAttributes.Public | TypeAttributes.Class, typeof(ExportAttribute));
        ConstructorBuilder constructor =
            type.DefineConstructor(MethodAttributes.Public, CallingConventions.Standard, parameters);
        ILGenerator code = constructor.GetILGenerator();
        code.Emit(OpCodes.Ldarg_0);
        code.Emit(OpCodes.Call, typeof(ExportAttribute).GetConstructor([])!);
        code.Emit(OpCodes.Ret);
        MethodBuilder setter = type.DefineMethod(
            $"set_{LaterProperty}", MethodAttributes.Public | MethodAttributes.SpecialName, typeof(void),
            [typeof(int)]);
        setter.GetILGenerator().Emit(OpCodes.Ret);
        type.DefineProperty(LaterProperty, PropertyAttributes.None, typeof(int), null).SetSetMethod(setter);
        type.CreateType();
    }
}
